"""Outputs of every container as a flat tuple."""

from __future__ import annotations

import torch

from edgedeploy.models.adapters.flat import flatten


def test_outputs_of_every_container_are_flattened_with_names() -> None:
    a, b, c = torch.zeros(1), torch.zeros(2), torch.zeros(3)
    assert [n for n, _ in flatten(a)] == ["output"]
    assert [n for n, _ in flatten((a, [b, c]))] == ["output_0", "output_1.0", "output_1.1"]
    assert [n for n, _ in flatten({"z": a, "a": {"x": b, "y": None}})] == ["z", "a.x"]
