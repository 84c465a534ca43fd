"""Changes to a .tflite file before and after it is quantized, each in a file of its own; editable_file.py is what they use."""
