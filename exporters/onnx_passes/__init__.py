"""Changes to a quantized ONNX model (QDQ) that give ONNX Runtime's integer kernels more to do. One a file."""
