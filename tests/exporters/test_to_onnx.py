from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from edgedeploy.core.recipes import FP32, STATIC_INT8

from .small_network import SmallExports


class Projections(nn.Module):
    """Queries, keys and values of one value, the values ten times larger."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(3, 16) for _ in range(3))
        with torch.no_grad():
            self.value.weight *= 10

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(2).transpose(1, 2)
        scores = torch.softmax(self.query(x) @ self.key(x).transpose(1, 2), dim=-1)
        return scores @ self.value(x)


def test_projections_of_one_value_stay_layers_of_their_own_with_their_bias(tmp_path: Path) -> None:
    _, path = SmallExports(tmp_path, Projections()).lower("onnx", FP32)
    types = Counter(node.op_type for node in onnx.load(path).graph.node)
    assert (types["Gemm"], types["Split"], types["Add"]) == (3, 0, 0)


def test_projections_of_one_value_have_a_range_each(tmp_path: Path) -> None:
    _, path = SmallExports(tmp_path, Projections()).lower("onnx", STATIC_INT8)
    model = onnx.load(path)
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in model.graph.initializer}
    readers = {node.input[0]: node for node in model.graph.node if node.op_type == "QuantizeLinear"}
    scales = [float(constants[readers[n.output[0]].input[1]]) for n in model.graph.node if n.op_type == "Gemm"]
    assert len(scales) == 3
    assert max(scales) > 5 * min(scales)
