from __future__ import annotations

from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from edgedeploy.core.recipes import STATIC_INT8

from .small_network import SmallExports


class Products(nn.Module):
    """Constants as the left operand of a product, as the right one of more than two dimensions, and as a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Parameter(torch.randn(16, 16))
        self.batched = nn.Parameter(torch.randn(3, 16, 16))
        self.weight = nn.Parameter(torch.randn(16, 8))

    def forward(self, x: Tensor) -> Tensor:
        return torch.matmul(torch.matmul(torch.matmul(self.left, x), self.batched), self.weight)


def test_only_a_weight_on_the_right_of_a_product_has_a_scale_for_each_output(tmp_path: Path) -> None:
    _, path = SmallExports(tmp_path, Products()).lower("onnx", STATIC_INT8)
    model = onnx.load(path)
    shapes = {constant.name: tuple(constant.dims) for constant in model.graph.initializer}
    conversions = [node for node in model.graph.node if node.op_type == "DequantizeLinear" and node.input[0] in shapes]
    scales = {shapes[node.input[0]]: shapes[node.input[1]] for node in conversions}
    assert scales == {(16, 16): (), (3, 16, 16): (), (16, 8): (8,)}
