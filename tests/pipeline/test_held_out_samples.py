"""Over how many held-out samples parity is measured."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgedeploy

NETWORK = """
from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, CHANNELS, 3, padding=1)

    def forward(self, x):
        return OUTPUT
"""


@pytest.mark.parametrize(
    ("channels", "output", "values", "samples"),
    [
        (10, "self.conv(x).mean((2, 3))", 10, 16),
        (4, "self.conv(x)", 4 * 320 * 320, 9),
        (16, "self.conv(x)", 16 * 320 * 320, 4),
    ],
    ids=["logits", "a small map", "a large map"],
)
def test_parity_is_over_sixteen_images_where_that_many_outputs_fit_in_memory(
    tmp_path: Path, channels: int, output: str, values: int, samples: int
) -> None:
    (tmp_path / "network.py").write_text(NETWORK.replace("CHANNELS", str(channels)).replace("OUTPUT", output))
    (artifact,) = edgedeploy.export(
        f"{tmp_path / 'network.py'}:Network", ("onnx-fp32",), inputs=["1x3x320x320"], output=tmp_path / "artifacts"
    )
    assert artifact.manifest.parity[0].count == samples * values
