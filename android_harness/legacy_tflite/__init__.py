"""tflite-runtime 2.14.0, the legacy TFLite runtime, in an environment of its own."""
