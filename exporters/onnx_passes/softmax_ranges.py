"""Softmaxes and their ranges: ONNX Runtime's int8 kernel does not clip, a value above its range becomes the lowest one.

ONNX Runtime makes that kernel of every softmax between DequantizeLinear and QuantizeLinear, of one that a recipe has in
float too. A gate that opens wider than in calibration would close. So a softmax has its whole range where a matrix product
reads it; where something else does, whose values may all be far below 1, that is in float as well. So is a product where
attention's weights are too small for the whole range, and no float logits make the softmax a float one (float_logits.py).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from edgedeploy.exporters.regions import DistributionTypes, Operator
from edgedeploy.exporters.regions.operator import readers_of


def whole_ranges(model: Any) -> dict[str, list[dict[str, Any]]]:
    """From 0 to 1 for each softmax, as onnxruntime's TensorQuantOverrides."""
    whole = {"rmin": np.float32(0), "rmax": np.float32(1)}
    return {node.output[0]: [whole] for node in model.graph.node if node.op_type == "Softmax"}


def float_readers(
    operators: Sequence[Operator], in_float: Collection[object], types: DistributionTypes, *, products: bool = False
) -> list[str]:
    """Names of the nodes that read a float softmax, through views, and are no matrix products.

    Args:
        in_float: names of the nodes that the recipe has in float.
        products: matrix products too.
    """
    readers, found = readers_of(operators), dict[str, None]()
    todo = [value for op in operators if op.type in types.softmaxes and op.key in in_float for value in op.outputs]
    while todo:
        for reader in readers.get(todo.pop(), []):
            if products or reader.type not in types.products:
                found[str(reader.key)] = None
            if reader.type in types.views:
                todo += reader.outputs
    return list(found)
