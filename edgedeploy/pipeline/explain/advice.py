"""What mends an operator that stays outside of the delegate."""

from __future__ import annotations

from edgedeploy.core.results.explanation import RefusalKind

IN_FLOAT = "leave it in float32: --exclude MODULE, or a rule of --recipe"
# (type, kind of refusal) -> advice; a type of "" stands for all
ADVICE: dict[tuple[str, RefusalKind], str] = {
    **{
        (type, "dtype"): IN_FLOAT
        for type in ("GELU", "HARD_SWISH", "SOFTMAX", "RELU6", "RELU", "RSQRT", "SQRT", "EXP", "MAXIMUM", "MINIMUM")
    },
    ("DIV", "dtype"): "the rewrites l2_norm_to_rsqrt and defer_l2_norm, or leave it in float32: --exclude MODULE",
    (
        "AVERAGE_POOL_2D",
        "dtype",
    ): "a depthwise convolution of equal weights",
    ("BATCH_MATMUL", "zero point"): "a range of the second input that is symmetric; export again with this version",
    ("FULLY_CONNECTED", "constant"): "a batched product (torch.matmul of two tensors of rank 3)",
    ("ADD", "scale"): "inputs of similar ranges, or leave it in float32: --exclude MODULE",
    ("MUL", "scale"): "inputs of similar ranges, or leave it in float32: --exclude MODULE",
    ("CONCATENATION", "shape"): "two concatenations, one of the other's result",
    ("SPLIT", "shape"): "the rewrite split_to_slices",
    ("RESIZE_NEAREST_NEIGHBOR", "operator"): "a bilinear resize, or an integer factor by repeating rows and columns",
    ("BROADCAST_TO", "operator"): "no explicit expand: arithmetic broadcasts by itself",
    ("GATHER", "operator"): "slices, where the indices are constant and regular",
    ("GATHER_ND", "operator"): "slices, where the indices are constant and regular",
    ("PADV2", "operator"): "a pad with zeros",
    ("SELECT", "operator"): "a product with the mask",
    ("SELECT_V2", "operator"): "a product with the mask",
    (
        "native_layer_norm",
        "operator",
    ): "the rewrites channels_first_layer_norm, layer_norm_to_partial_sums (float) and layer_norm_to_products (int8)",
    ("expand_copy", "operator"): "no explicit expand: arithmetic broadcasts by itself",
    ("mean", "shape"): "avg_pool2d over the whole map, or a mean over the last two of four dimensions with keepdim",
    ("sum", "operator"): "a matrix product with ones, or the rewrites l2_norm_to_rsqrt and defer_l2_norm",
    ("split_with_sizes_copy", "operator"): "the rewrite split_to_slices",
    ("select_copy", "operator"): "a slice of length 1",
    ("unsqueeze_copy", "shape"): "a reshape",
    ("squeeze_copy", "operator"): "a reshape",
    ("upsample_nearest2d", "operator"): "a bilinear resize, or an integer factor by repeating rows and columns",
    ("reciprocal", "operator"): "a division of 1",
    ("_softmax", "shape"): "a transpose that brings the axis to the end",
    ("addmm", "constant"): "a batched product (torch.bmm)",
    ("Gelu", "operator"): "another activation, such as ReLU, where the network may be trained again",
    ("ConvTranspose", "operator"): "the rewrite transposed_conv_to_shuffle, which makes it a convolution",
    ("BatchNormalization", "operator"): "the rewrite fold_batch_norm",
    ("HardSigmoid", "operator"): "the rewrite fold_hard_sigmoid_gate",
    ("ReduceMean", "operator"): "a mean over all positions of an NCHW map, which the export makes a pooling",
}


def advice_for(type: str, kind: RefusalKind) -> str:
    """A rewrite or rule; "" where none is known."""
    return ADVICE.get((type, kind), "")
