"""Sigmoids of one value for each channel are float in static int8 files for LiteRT."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgedeploy.core.backends import BACKENDS, load_object
from edgedeploy.core.recipes import STATIC_INT8
from edgedeploy.exporters.tflite_file import read_graph
from edgedeploy.models.rewrites import capture
from tests.exporters.small_network import export_job


class Gated(nn.Module):
    """A convolution whose result is multiplied with sigmoids, of its means or of itself."""

    def __init__(self, *, means: bool) -> None:
        super().__init__()
        self.conv, self.gate, self.last = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 4, 1)
        self.means = means

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.last(y * self.gate(y.mean((2, 3), keepdim=True) if self.means else y).sigmoid())


@pytest.mark.parametrize(("means", "kind"), [(True, "float32"), (False, "int8")], ids=["one a channel", "map"])
def test_only_a_gate_of_one_value_for_each_channel_is_float(tmp_path: Path, means: bool, kind: str) -> None:
    torch.manual_seed(0)
    x, path = torch.randn(1, 3, 16, 16), tmp_path / "model.tflite"
    module = capture(Gated(means=means).eval(), (x,))
    load_object(BACKENDS["tflite"].exporter)(export_job(module, x, path, STATIC_INT8, [x, x]))
    graph = read_graph(path.read_bytes())
    (gate,) = (op for op in graph.operators if op.type == "LOGISTIC")
    assert graph.tensors[gate.outputs[0]].dtype == kind
