"""What ExecuTorch's quantizer has noted at the operators of a captured network."""

from __future__ import annotations

from typing import Any

from edgedeploy.core.recipe import operator_kind

# ExecuTorch's quantizer takes these whatever its filter says. A mean gets the scale of what it reads, as a view does: its
# result is rounded in steps of values that may be many times larger.
UNFILTERED = ("aten.cat.default", "aten.mean.dim", "aten.mean.default")
VIEWS = ("aten.view.default", "aten.reshape.default", "aten._unsafe_view.default")


def keep_in_float(graph: Any, quantizer: Any) -> None:
    """Marks what stays in float: those of UNFILTERED that the filter leaves out, and sums that only a softmax reads.

    A softmax is float anyway, and so is the product before it. In int8 a mask of -100 would leave few steps to the logits.

    Args:
        graph: of a captured network that is not annotated yet.
        quantizer: the XNNPACKQuantizer that will annotate it.
    """
    for node in graph.nodes:
        left_out = str(node.target) in UNFILTERED and not may_quantize(quantizer, node)
        if left_out or (str(node.target) == "aten.add.Tensor" and _only_softmax_reads(node)):
            annotate(node)


def _only_softmax_reads(node: Any) -> bool:
    """Whether a value has one reader, a softmax, or another sum or a view that only a softmax reads."""
    if len(node.users) != 1:
        return False
    (user,) = node.users
    if str(user.target) in ("aten.add.Tensor", *VIEWS):
        return _only_softmax_reads(user)
    return operator_kind(str(user.target)) == "softmax"


def may_quantize(quantizer: Any, node: Any) -> bool:
    """Whether the XNNPACKQuantizer's filter leaves an operator to it."""
    return quantizer.filter_fn is None or bool(quantizer.filter_fn(node))


def annotation_of(node: Any) -> Any:
    """The QuantizationAnnotation of an operator; None without one."""
    from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

    return node.meta.get(Q_ANNOTATION_KEY)


def annotate(node: Any, **specs: Any) -> None:
    """Notes the fields of a QuantizationAnnotation at an operator; without any, it stays in float."""
    from torchao.quantization.pt2e.quantizer import QuantizationAnnotation
    from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

    node.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(_annotated=True, **specs)


def reads_int8(node: Any) -> bool:
    """Whether an operator's inputs are quantized."""
    found = annotation_of(node)
    return found is not None and bool(found.input_qspec_map)


def gives_int8(node: Any) -> bool:
    """Whether an operator's result is quantized; of a layer with an activation that is the activation's."""
    found = annotation_of(node)
    return found is not None and found.output_qspec is not None
