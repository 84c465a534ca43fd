"""tflite-runtime 2.14.0, in an environment of its own."""
