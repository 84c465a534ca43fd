"""What ExecuTorch's quantizer has noted at the operators of a captured network."""

from __future__ import annotations

from typing import Any


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
