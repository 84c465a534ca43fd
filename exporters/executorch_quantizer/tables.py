"""Sigmoid and GELU as tables of 256 values in ExecuTorch's int8 delegate.

XNNPACK computes them in int8 by a table, with 0.6 Arm instructions a value. ExecuTorch's quantizer knows neither, and its
partitioner takes both in float only: 10 instructions a value for a sigmoid, and 3 for the conversions around it. Between
two int8 values the table is the same function: float on each of the 256 inputs, rounded.
"""

from __future__ import annotations

from typing import Any

from .pads import with_int8_pads

TABLES = ("aten.sigmoid.default", "aten.gelu.default")
VIEWS = (
    "aten.reshape.default",
    "aten.view.default",
    "aten.permute.default",
    "aten.transpose.int",
    "aten.flatten.using_ints",
    "aten.alias.default",  # concatenations.py
)


def annotate_tables(model: Any, quantizer: Any) -> None:
    """Quantizes TABLES too, where what they read and all that read them is int8 already.

    Args:
        model: a captured network that the XNNPACKQuantizer `quantizer` has annotated.
    """
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer_utils import propagate_annotation
    from torchao.quantization.pt2e.quantizer import (
        QuantizationAnnotation,
        get_input_act_qspec,
        get_output_act_qspec,
    )
    from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

    def quantized_by_its_readers(node: Any) -> bool:
        return bool(node.users) and all(
            node in reader.meta[Q_ANNOTATION_KEY].input_qspec_map
            if Q_ANNOTATION_KEY in reader.meta
            else str(reader.target) in VIEWS and quantized_by_its_readers(reader)
            for reader in node.users
        )

    for node in model.graph.nodes:
        if str(node.target) not in TABLES or not (quantizer.filter_fn is None or quantizer.filter_fn(node)):
            continue
        (source,) = node.all_input_nodes
        before = source.meta.get(Q_ANNOTATION_KEY)
        if before is None or before.output_qspec is None or not quantized_by_its_readers(node):
            continue
        node.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(
            input_qspec_map={source: get_input_act_qspec(quantizer.global_config)},
            output_qspec=get_output_act_qspec(quantizer.global_config),
            _annotated=True,
        )
        propagate_annotation(model)  # views behind it share its scale


def table_partitioner() -> Any:
    """XnnpackPartitioner that takes TABLES, and pads (pads.py), in int8 too."""
    from executorch.backends.xnnpack.partition.config import ALL_PARTITIONER_CONFIGS
    from executorch.backends.xnnpack.partition.config.generic_node_configs import (
        ConstantPadConfig,
        GeluConfig,
        SigmoidConfig,
    )
    from executorch.backends.xnnpack.partition.config.xnnpack_config import ConfigPrecisionType
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner

    both = [ConfigPrecisionType.FP32, ConfigPrecisionType.STATIC_QUANT]

    def with_int8(config: Any) -> Any:
        return type(config.__name__, (config,), {"supported_precision_types": lambda self: both})

    changed = {
        SigmoidConfig: with_int8(SigmoidConfig),
        GeluConfig: with_int8(GeluConfig),
        ConstantPadConfig: with_int8_pads(ConstantPadConfig),
    }
    configs = [changed.get(config, config) for config in ALL_PARTITIONER_CONFIGS]
    return XnnpackPartitioner(configs=configs)
