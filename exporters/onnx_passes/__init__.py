"""Changes to an ONNX model before its quantization, or to a quantized one (QDQ), which give ONNX Runtime's integer kernels
more to do. One a file.
"""
