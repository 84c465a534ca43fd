"""What converters do to the process that they run in."""
