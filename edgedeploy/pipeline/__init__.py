"""One command a file: the functions that the command line and the Python API call."""
