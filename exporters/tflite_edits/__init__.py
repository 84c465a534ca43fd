"""Changes to a .tflite file before or after it is quantized, each in a file of its own; editable_file.py is their tool."""
