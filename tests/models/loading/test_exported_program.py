"""Networks from .pt2 files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgedeploy.core.errors import ModelInvalid

from .user_nets import inputs_of, load


def test_an_exported_program_is_a_network(here: Path) -> None:
    original = load("net.py:two")
    inputs = tuple(torch.from_numpy(array) for array in original.draw(np.random.default_rng(1)))
    torch.export.save(torch.export.export(original.module.get_submodule("network"), inputs), here / "two.pt2")
    network = load("two.pt2")
    assert network.name == "two-pt2"
    assert inputs_of(network) == inputs_of(original)
    assert network.output_names == ("scores", "more.0")
    for ours, theirs in zip(network.module(*inputs), original.module(*inputs), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    assert network.weights.kind == "program"


def test_inputs_by_position_and_by_name_may_be_mixed(here: Path) -> None:
    class Mixed(nn.Module):
        def forward(self, image: torch.Tensor, *, gain: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
            return image * gain - shift

    inputs = (torch.randn(1, 3, 8, 8), torch.randn(1, 3, 1, 1), torch.randn(1, 3, 8, 1))
    program = torch.export.export(Mixed(), inputs[:1], {"shift": inputs[2], "gain": inputs[1]})
    torch.export.save(program, here / "mixed.pt2")
    network = load("mixed.pt2")
    given = dict(zip(("image", "gain", "shift"), inputs, strict=True))
    assert [spec.name for spec in network.inputs] == ["image", "shift", "gain"]
    (found,) = network.module(*(given[spec.name] for spec in network.inputs))
    assert torch.equal(found, Mixed()(inputs[0], gain=inputs[1], shift=inputs[2]))


def test_a_program_of_the_training_mode_is_refused(here: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train()
    torch.export.save(torch.export.export(net, (torch.zeros(2, 3, 8, 8),)), here / "train.pt2")
    with pytest.raises(ModelInvalid, match="training mode") as caught:
        load("train.pt2")
    assert "net.eval()" in str(caught.value)


def test_a_file_that_is_no_program_and_a_pickle_in_one_are_refused(here: Path) -> None:
    (here / "text.pt2").write_text("not a program")
    with pytest.raises(ModelInvalid, match="is no exported program"):
        load("text.pt2")
    torch.save({"a": torch.zeros(1)}, here / "zip.pt2")
    with pytest.raises(ModelInvalid, match="does not load"):
        load("zip.pt2")
