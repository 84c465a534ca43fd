"""Pads by zeros in ExecuTorch's int8 delegate.

XNNPACK pads int8 values with their zero point. ExecuTorch's quantizer knows no pad, so that one behind an int8 value is
float, with all that moves its values on; its partitioner takes it in float, and a pass (InsertPadQDQPass) then makes its
result int8 where no operator quantizes it. XNNPACK refuses int8 of float when the file is loaded.

Here a pad has the scale of what it reads, as a view has. One that is left float behind an int8 value stays outside of the
delegate, unless its result is quantized.
"""

from __future__ import annotations

from typing import Any

from .annotations import annotate, gives_int8, may_quantize


def annotate_pads(model: Any, quantizer: Any) -> None:
    """Quantizes pads by zeros of what is int8 already, and the views behind them.

    Args:
        model: a captured network that the XNNPACKQuantizer `quantizer` has annotated.
    """
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer_utils import propagate_annotation
    from torchao.quantization.pt2e.quantizer import SharedQuantizationSpec

    for node in model.graph.nodes:
        if _pads_by_zeros(node) and may_quantize(quantizer, node) and gives_int8(node.args[0]):
            shared = SharedQuantizationSpec(node.args[0])
            annotate(node, input_qspec_map={node.args[0]: shared}, output_qspec=shared)
            propagate_annotation(model)


def with_checks_of_int8_pads(config: Any) -> Any:
    """XNNPACK's partitioner config of pads, which takes one behind an int8 value only as int8.

    Args:
        config: ExecuTorch's `ConstantPadConfig`, for int8 too.
    """
    from executorch.backends.xnnpack.utils.quant_utils import is_dequant, is_quant

    class Int8PadConfig(config):
        def check_constraints(self, node: Any, ep: Any) -> bool:
            becomes_int8 = is_dequant(node.args[0]) and not any(is_quant(user) for user in node.users)
            return not becomes_int8 and super().check_constraints(node, ep)

        def get_node_and_deps(self, node: Any, ep: Any) -> list[Any]:
            before = node.args[0]
            one_scale = is_dequant(before) and all(is_quant(u) and u.args[1:] == before.args[1:] for u in node.users)
            return super().get_node_and_deps(node, ep) if one_scale else [node]

    return Int8PadConfig


def _pads_by_zeros(node: Any) -> bool:
    """Whether a node of a captured network adds zeros to a value, and cuts nothing."""
    if str(node.target) == "aten.pad.default":
        mode, value = _argument(node, 2, "constant"), _argument(node, 3, None)
    elif str(node.target) == "aten.constant_pad_nd.default":
        mode, value = "constant", _argument(node, 2, None)
    else:
        return False
    return mode == "constant" and not value and all(side >= 0 for side in node.args[1])


def _argument(node: Any, index: int, default: Any) -> Any:
    return node.args[index] if index < len(node.args) else default
