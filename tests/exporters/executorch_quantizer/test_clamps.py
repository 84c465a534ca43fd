"""What XNNPACK's quantizer for ExecuTorch makes of clamps behind layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from edgedeploy.exporters.executorch_quantizer import quantizer
from edgedeploy.exporters.executorch_quantizer.clamps import clamps_as_relu

aten = torch.ops.aten
X = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def captured(*layers: nn.Module) -> torch.fx.GraphModule:
    return torch.export.export(nn.Sequential(*layers).eval(), (X,)).module(check_guards=False)


def wide(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    """The layer with outputs of which a clamp to [0, 6] keeps a small part."""
    torch.manual_seed(0)
    nn.init.normal_(layer.weight, std=5.0)
    return layer


@pytest.mark.parametrize("groups", [1, 4])
def test_a_relu6_has_all_steps_for_what_it_keeps(groups: int) -> None:
    network = captured(wide(nn.Conv2d(4, 4, 3, groups=groups)), nn.ReLU6(), nn.Flatten(), wide(nn.Linear(144, 4)))
    prepared = prepare_pt2e(network, quantizer())
    prepared(X)
    quantized = convert_pt2e(prepared)
    (clamp,) = (node for node in quantized.graph.nodes if node.target == aten.hardtanh.default)
    assert clamp.args[0].target == aten.conv2d.default, "the layer's own result must not be rounded"
    (rounding,) = clamp.users
    assert rounding.args[1] == pytest.approx(6 / 255, rel=1e-3)


def test_clamps_keep_their_type_and_those_of_no_layer_are_left_alone() -> None:
    network = captured(nn.Conv2d(4, 4, 3), nn.ReLU6(), nn.AvgPool2d(2), nn.Hardtanh(-2.0, 2.0))
    before = [node.target for node in network.graph.nodes]
    with clamps_as_relu(network.graph):
        during = [node.target for node in network.graph.nodes]
    assert [node.target for node in network.graph.nodes] == before
    assert during.count(aten.relu.default) == 1
    assert during.count(aten.hardtanh.default) == 1


def test_a_clamped_value_that_others_read_too_is_left_alone() -> None:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.conv(x)
            return y + nn.functional.relu6(y)

    network = captured(Branch())
    with clamps_as_relu(network.graph):
        assert all(node.target != aten.relu.default for node in network.graph.nodes)
