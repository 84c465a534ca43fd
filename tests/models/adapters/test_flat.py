"""Outputs of every container as a flat tuple."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgedeploy.models.adapters.flat import Flat, flatten
from edgedeploy.models.rewrites import capture
from edgedeploy.models.rewrites.graph import module_path, operator_name


def test_outputs_of_every_container_are_flattened_with_names() -> None:
    a, b, c = torch.zeros(1), torch.zeros(2), torch.zeros(3)
    assert [n for n, _ in flatten(a)] == ["output"]
    assert [n for n, _ in flatten((a, [b, c]))] == ["output_0", "output_1.0", "output_1.1"]
    assert [n for n, _ in flatten({"z": a, "a": {"x": b, "y": None}})] == ["z", "a.x"]


def test_modules_have_the_paths_of_the_network_inside() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(4, 4), nn.ReLU())

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"y": self.body(x) * 2}

    captured = capture(Flat(Named()).eval(), (torch.zeros(1, 4),))
    paths = {operator_name(n): module_path(n) for n in captured.graph.nodes if n.op == "call_function"}
    assert paths == {"aten.linear": "body.0", "aten.relu": "body.1", "aten.mul": ""}
