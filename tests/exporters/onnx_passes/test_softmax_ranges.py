from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch
from torch import Tensor, nn

from edgedeploy.core.recipes import STATIC_INT8
from tests.exporters.small_network import SmallExports


class Gated(nn.Module):
    """A feature map that is multiplied by softmax over rows, or whose rows are mixed by masked attention."""

    def __init__(self, *, masked: bool) -> None:
        super().__init__()
        self.gate, self.body, self.masked = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), masked

    def forward(self, x: Tensor) -> Tensor:
        gate, body = self.gate(x), self.body(x)
        if self.masked:
            keep = torch.ones(16, 16, dtype=torch.bool).tril()
            return torch.where(keep, gate, torch.tensor(-1e9)).softmax(-1) @ body
        return gate.softmax(-1) * body


def quantized_softmax_scales(path: Path) -> list[float]:
    graph = onnx.load(path).graph
    scales = {constant.name: onnx.numpy_helper.to_array(constant) for constant in graph.initializer}
    softmaxes = {node.output[0] for node in graph.node if node.op_type == "Softmax"}
    assert softmaxes
    return [float(scales[n.input[1]]) for n in graph.node if n.op_type == "QuantizeLinear" and n.input[0] in softmaxes]


@pytest.mark.parametrize("masked", [False, True])
def test_a_gate_that_opens_wider_than_in_calibration_does_not_close(masked: bool, tmp_path: Path) -> None:
    _, path = SmallExports(tmp_path, Gated(masked=masked)).lower("onnx", STATIC_INT8)
    assert quantized_softmax_scales(path) == ([pytest.approx(1 / 255)] if masked else [])
