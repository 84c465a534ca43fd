"""Kinds of operators: one word for what the three formats name differently, so that one recipe serves all.

A recipe's `operator` may be a kind or a format's own type. What is one operator in one format may be several in another: a
LayerNorm is one in ONNX and ExecuTorch, and a dozen in TFLite (there the region "normalization" means them).
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

# kind -> types in ONNX, in TFLite, and in a network captured by torch.export
KINDS: Mapping[str, tuple[str, ...]] = {
    "convolution": (
        *("Conv", "ConvTranspose", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"),
        *("aten.conv1d.*", "aten.conv2d.*", "aten.conv_transpose2d.*", "aten.convolution.*"),
    ),
    "linear": ("Gemm", "FULLY_CONNECTED", "aten.linear.*", "aten.addmm.*"),
    "matrix_product": ("MatMul", "BATCH_MATMUL", "aten.matmul.*", "aten.bmm.*", "aten.mm.*"),
    "softmax": ("Softmax", "SOFTMAX", "aten.softmax.*", "aten._softmax.*"),
    "normalization": ("LayerNormalization", "aten.layer_norm.*", "aten.native_layer_norm.*"),
    "add": ("Add", "ADD", "aten.add.*", "aten.add_.*"),
    "subtract": ("Sub", "SUB", "aten.sub.*"),
    "multiply": ("Mul", "MUL", "aten.mul.*", "aten.mul_.*"),
    "divide": ("Div", "DIV", "aten.div.*"),
    "gelu": ("Gelu", "GELU", "aten.gelu.*"),
    "sigmoid": ("Sigmoid", "LOGISTIC", "aten.sigmoid.*"),
    "tanh": ("Tanh", "TANH", "aten.tanh.*"),
    "hard_swish": ("HardSwish", "HARD_SWISH", "aten.hardswish.*", "aten.hardswish_.*"),
    "hard_sigmoid": ("HardSigmoid", "aten.hardsigmoid.*"),
    "relu": ("Relu", "RELU", "RELU6", "aten.relu.*", "aten.relu_.*", "aten.hardtanh.*"),
    "resize": ("Resize", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "aten.upsample*"),
    "pooling": (
        *("AveragePool", "MaxPool", "GlobalAveragePool", "AVERAGE_POOL_2D", "MAX_POOL_2D"),
        *("aten.avg_pool2d.*", "aten.max_pool2d.*", "aten.adaptive_avg_pool2d.*"),
    ),
    "mean": ("ReduceMean", "MEAN", "aten.mean.*"),
    "concatenation": ("Concat", "CONCATENATION", "aten.cat.*"),
}


def kind_of(operator: str) -> str:
    """The kind of an operator type; "" for one of no kind."""
    return next((kind for kind, types in KINDS.items() if any(fnmatchcase(operator, pattern) for pattern in types)), "")
