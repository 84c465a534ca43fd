"""What ExecuTorch's XNNPACK partitioner takes.

Read from `backends/xnnpack/partition/config/` of ExecuTorch 1.5.1. The partitioner works when a network is exported: which
operators it took is in the file, so nothing is predicted here; the rules say why the others were left.
"""

from __future__ import annotations

from edgedeploy.core.results.explanation import Refusal, RefusalKind

RULES_FROM = "ExecuTorch 1.5.1, backends/xnnpack/partition/config"

TAKEN = frozenset(
    (
        *("abs", "add", "addmm", "avg_pool2d", "_native_batch_norm_legit_no_training", "bmm", "cat", "ceil"),
        *("clone", "_clone_dim_order", "constant_pad_nd", "convolution", "clamp", "div", "exp", "floor"),
        *("gelu", "hardtanh", "hardswish", "leaky_relu", "linear", "log", "max", "maximum", "max_pool2d"),
        *("mean", "minimum", "mm", "mul", "neg", "permute_copy", "pow", "prelu", "rsqrt", "relu", "tanh"),
        *("_to_dim_order_copy", "sigmoid", "sin", "cos", "slice_copy", "_softmax", "sqrt", "sub"),
        *("unsqueeze_copy", "upsample_bilinear2d", "view_copy", "quantize_per_tensor", "dequantize_per_tensor"),
        *("dequantize_per_channel", "choose_qparams"),
    )
)
# operators that are taken under a condition, and what it is
CONDITIONS: dict[str, tuple[RefusalKind, str]] = {
    "mean": ("shape", "taken only over the last two of four dimensions, which stay as 1 (keepdim)"),
    "_softmax": ("shape", "taken only over the last dimension"),
    "unsqueeze_copy": ("shape", "taken only where the new dimension is the last"),
    "slice_copy": ("option", "taken only with a step of 1, and in int8 with equal scales of input and output"),
    "avg_pool2d": ("option", "taken without ceil_mode, and with padding only where the padding is not counted"),
    "max_pool2d": ("option", "taken only where the stride does not exceed the window"),
    "addmm": ("constant", "taken only with constant weights"),
    "mm": ("constant", "taken only with constant weights"),
    "linear": (
        "constant",
        "taken only with constant weights, in int8 with a quantized output that is read once or a dynamic input",
    ),
    "convolution": ("rank", "taken in one and two dimensions with constant weights, in int8 with a quantized output"),
    "add": ("dtype", "taken for floats of one type, with alpha 1"),
    "sub": ("dtype", "taken for floats of one type, with alpha 1"),
    "mul": ("dtype", "taken for floats of one type"),
    "pow": ("option", "taken with the exponent 2 only"),
    "cat": ("shape", "taken for two tensors or more, of floats of one type"),
    "constant_pad_nd": ("option", "taken without negative padding, and behind int8 values with a quantized result"),
    "prelu": ("constant", "taken only with a constant slope"),
    "max": ("rank", "taken for rank 4 without the indices"),
    "_to_dim_order_copy": ("dtype", "taken where it does not change the type"),
    "_clone_dim_order": ("option", "taken where it does not change the order of dimensions"),
    "clone": ("option", "taken where it does not change the order of dimensions"),
}


def base_name(type: str) -> str:
    """`aten.mean.dim`, `mean.out` and `dim_order_ops._clone_dim_order.default` -> the operator alone."""
    parts = type.split(".")
    return parts[1] if parts[0] in ("aten", "dim_order_ops", "quantized_decomposed") and len(parts) > 1 else parts[0]


def refusal_of(type: str, dtype: str) -> Refusal:
    """Why the partitioner has left an operator."""
    name = base_name(type)
    if name not in TAKEN:
        return Refusal("operator", f"the partitioner has no {name}")
    if dtype and not dtype.startswith(("float", "int8", "uint8")):
        return Refusal("dtype", f"its output is {dtype}; the partitioner takes float32 and quantized int8")
    kind, reason = CONDITIONS.get(name, ("neighbours", "it is taken elsewhere; here its neighbours do not allow it"))
    return Refusal(kind, reason)
