"""Where a runtime parts that gives whole outputs only: a second file, with every tensor as an output."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgedeploy.models.rewrites import capture
from edgedeploy.pipeline.layers.reference import Reference, of_network
from edgedeploy.pipeline.layers.taps import first_in_taps, with_every_tensor


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1)
        self.second = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.first(x))
        return self.second(y.softmax(-1)) + y


@pytest.fixture
def tapped() -> tuple[Reference, list[int], list[np.ndarray]]:
    torch.manual_seed(0)
    example = torch.randn(1, 3, 4, 4)
    module = capture(Network().eval(), (example,))
    reference = of_network(module, [example.numpy()])
    copy, positions = with_every_tensor(module, reference)
    with torch.no_grad():
        return reference, positions, [tensor.numpy().copy() for tensor in copy(example)]


def test_every_tensor_of_the_network_is_an_output(tapped: tuple[Reference, list[int], list[np.ndarray]]) -> None:
    reference, positions, outputs = tapped
    assert positions == list(range(1, 6))
    assert all(
        np.array_equal(reference.values[i].ravel(), output) for i, output in zip(positions, outputs, strict=True)
    )
    assert first_in_taps(reference, positions, outputs, quantized=False) == ""


@pytest.mark.parametrize("quantized", [False, True])
def test_the_first_operator_is_named_and_not_what_follows_from_it(
    quantized: bool, tapped: tuple[Reference, list[int], list[np.ndarray]]
) -> None:
    reference, positions, outputs = tapped
    for index in (2, 3, 4):  # softmax, the second convolution, the sum
        outputs[index] = outputs[index] + outputs[index].std()
    assert "aten.softmax" in first_in_taps(reference, positions, outputs, quantized=quantized)


def test_the_operator_that_adds_most_noise_is_named_where_none_stands_out(
    tapped: tuple[Reference, list[int], list[np.ndarray]],
) -> None:
    reference, positions, outputs = tapped
    for index, noise in ((0, 0.001), (2, 0.03), (3, 0.03), (4, 0.03)):
        outputs[index] = outputs[index] * np.float32(1 + noise)
    found = first_in_taps(reference, positions, outputs, quantized=True)
    assert "most noise is added by aten.softmax" in found
    assert first_in_taps(reference, positions, outputs, quantized=False).startswith("in a second file")


def test_values_that_are_not_finite_are_an_error(tapped: tuple[Reference, list[int], list[np.ndarray]]) -> None:
    reference, positions, outputs = tapped
    outputs[3][...] = np.nan
    assert "at second" in first_in_taps(reference, positions, outputs, quantized=True)


def test_what_an_operator_changes_in_place_is_no_output() -> None:
    module = capture(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Hardswish(inplace=True)).eval(), (torch.rand(1, 3, 4, 4),))
    reference = of_network(module, [np.ones((1, 3, 4, 4), np.float32)])
    _, positions = with_every_tensor(module, reference)
    assert [reference.facts[position].type for position in positions] == ["aten.hardswish_.default"]


def test_an_error_that_vanishes_in_what_reads_it_is_not_named() -> None:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hardly, self.much = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.much(x).relu() + self.hardly(x) * 1e-4

    example = torch.randn(1, 3, 8, 8)
    module = capture(Branch().eval(), (example,))
    reference = of_network(module, [example.numpy()])
    copy, positions = with_every_tensor(module, reference)
    with torch.no_grad():
        outputs = [tensor.numpy().copy() for tensor in copy(example)]
    small = [reference.facts[position].module for position in positions].index("hardly")
    outputs[small] = outputs[small] * 3
    outputs[small + 1] = outputs[small + 1] * 3  # times 1e-4
    assert "hardly" not in first_in_taps(reference, positions, outputs, quantized=True)
