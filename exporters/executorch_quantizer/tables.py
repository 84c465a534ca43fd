"""Sigmoid and GELU as tables of 256 values in ExecuTorch's int8 delegate.

XNNPACK computes them in int8 by a table, with 0.6 Arm instructions a value. ExecuTorch's quantizer knows neither, and its
partitioner takes both in float only: 10 instructions a value for a sigmoid, and 3 for the conversions around it. Between
two int8 values the table is the same function: float on each of the 256 inputs, rounded.
"""

from __future__ import annotations

from typing import Any

from .annotations import annotate, annotation_of, gives_int8, may_quantize

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
    from torchao.quantization.pt2e.quantizer import get_input_act_qspec, get_output_act_qspec

    def quantized_by_its_readers(node: Any) -> bool:
        return bool(node.users) and all(
            node in annotation_of(reader).input_qspec_map
            if annotation_of(reader) is not None
            else str(reader.target) in VIEWS and quantized_by_its_readers(reader)
            for reader in node.users
        )

    for node in model.graph.nodes:
        if str(node.target) not in TABLES or not may_quantize(quantizer, node):
            continue
        (source,) = node.all_input_nodes
        if not gives_int8(source) or not quantized_by_its_readers(node):
            continue
        annotate(
            node,
            input_qspec_map={source: get_input_act_qspec(quantizer.global_config)},
            output_qspec=get_output_act_qspec(quantizer.global_config),
        )
        propagate_annotation(model)  # views behind it share its scale
