"""Changes to a float .tflite file before it is quantized, each in a file of its own; editable_file.py is what they use."""
