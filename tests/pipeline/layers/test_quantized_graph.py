"""A network between quantize and dequantize operators, which torch runs one by one beside its float network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn

from edgedeploy.core.recipes import STATIC_INT8
from edgedeploy.exporters.to_executorch import quantized_network
from edgedeploy.models.rewrites import capture
from edgedeploy.pipeline.layers import first_difference_in_graph
from edgedeploy.pipeline.layers.formats.quantized_graph import QuantizedGraph
from edgedeploy.pipeline.layers.reference import Reference, of_network
from tests.exporters.small_network import export_job


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.first(x).relu().chunk(2, 1)
        return self.second(torch.cat((right, left), 1)) + 1


@pytest.fixture
def quantized(tmp_path: Path) -> tuple[fx.GraphModule, Reference]:
    torch.manual_seed(0)
    x = torch.randn(1, 4, 8, 8)
    module = capture(Network().eval(), (x,))
    job = export_job(module, x, tmp_path / "model.pte", STATIC_INT8, [x])
    return quantized_network(job), of_network(module, [x.numpy()])


def test_its_operators_one_by_one_give_what_the_whole_gives(quantized: tuple[fx.GraphModule, Reference]) -> None:
    network, reference = quantized
    where, (output,) = first_difference_in_graph(reference, network)
    with torch.no_grad():
        whole = network(torch.from_numpy(reference.values[0]))
    np.testing.assert_allclose(output, whole.numpy(), atol=1e-6)
    assert where.startswith("no operator stands out")


def test_an_operator_that_was_planted_wrong_is_named(quantized: tuple[fx.GraphModule, Reference]) -> None:
    network, reference = quantized
    for name, value in network.state_dict().items():
        if value.dtype is torch.int8 and value.shape == (8, 8, 1, 1):
            setattr(network, name, torch.roll(value, 1, 0))
    where, _ = first_difference_in_graph(reference, network)
    assert "they part at aten.conv2d.default at second" in where


def test_limits_are_those_of_a_tensors_int8_values(quantized: tuple[fx.GraphModule, Reference]) -> None:
    network, reference = quantized
    low, high = QuantizedGraph(network).limits("x") or (0.0, 0.0)
    values = reference.values[0]
    step = (high - low) / 255
    assert low == pytest.approx(values.min(), abs=step)
    assert high == pytest.approx(values.max(), abs=step)
