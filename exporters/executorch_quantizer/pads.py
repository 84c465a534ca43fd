"""Pads by zeros in ExecuTorch's int8 delegate.

XNNPACK pads int8 values with their zero point. ExecuTorch's quantizer knows no pad, so that one behind an int8 value is
float, with all that moves its values on; its partitioner takes it in float, and a pass (InsertPadQDQPass) then makes its
result int8 where no operator quantizes it. XNNPACK refuses int8 of float when the file is loaded.

Here a pad has the scale of what it reads, as a view has. One that is left float behind an int8 value stays outside of the
delegate, unless its result is quantized.
"""

from __future__ import annotations

from typing import Any


def annotate_pads(model: Any, quantizer: Any) -> None:
    """Quantizes pads by zeros of what is int8 already, and the views behind them.

    Args:
        model: a captured network that the XNNPACKQuantizer `quantizer` has annotated.
    """
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer_utils import propagate_annotation
    from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, SharedQuantizationSpec
    from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

    for node in model.graph.nodes:
        if not _pads_by_zeros(node) or not (quantizer.filter_fn is None or quantizer.filter_fn(node)):
            continue
        source = node.args[0]
        before = source.meta.get(Q_ANNOTATION_KEY)
        if before is None or before.output_qspec is None:
            continue
        shared = SharedQuantizationSpec(source)
        node.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(
            input_qspec_map={source: shared}, output_qspec=shared, _annotated=True
        )
        propagate_annotation(model)


def with_int8_pads(config: Any) -> Any:
    """XNNPACK's partitioner config of pads, for int8 too.

    Args:
        config: ExecuTorch's `ConstantPadConfig`.
    """
    from executorch.backends.xnnpack.partition.config.xnnpack_config import ConfigPrecisionType
    from executorch.backends.xnnpack.utils.quant_utils import is_dequant, is_quant

    class Int8PadConfig(config):
        def check_constraints(self, node: Any, ep: Any) -> bool:
            becomes_int8 = is_dequant(node.args[0]) and not any(is_quant(user) for user in node.users)
            return not becomes_int8 and super().check_constraints(node, ep)

        def supported_precision_types(self) -> list[Any]:
            return [ConfigPrecisionType.FP32, ConfigPrecisionType.STATIC_QUANT]

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
