"""What int8 changes for every image alike goes into the bias of the logits, through the whole export."""

from __future__ import annotations

from pathlib import Path

import edgedeploy

HARDLY_VARIES = """
import torch
from torch import nn


class Network(nn.Module):
    '''Its values hardly depend on the image, so that rounding them changes every image alike.'''

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, 16, 3, stride=4), *(nn.Conv2d(16, 16, 3) for _ in range(4))]
        for layer in layers:
            nn.init.normal_(layer.bias)
        layers[0].weight.data *= 0.1
        self.body = nn.Sequential(*(part for layer in layers for part in (layer, nn.Hardswish())))
        self.head = nn.Linear(16, 100)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))
"""


def sqnr_db(folder: Path, recipe: str) -> float:
    (folder / "network.py").write_text(HARDLY_VARIES)
    (folder / "mine.toml").write_text(recipe)
    (artifact,) = edgedeploy.export(
        f"{folder / 'network.py'}:Network", ("onnx-int8",), inputs=["1x3x64x64"], recipe=str(folder / "mine.toml"),
        output=folder / "artifacts", allow_low_parity=True,
    )  # fmt: skip
    (parity,) = artifact.manifest.parity
    return parity.sqnr


def test_corrected_logits_are_closer_to_the_float_networks(tmp_path: Path) -> None:
    plain = sqnr_db(tmp_path, 'base = "static_wi8_ai8"\ncorrect_outputs = false')
    corrected = sqnr_db(tmp_path, 'base = "static_wi8_ai8"')
    assert corrected > plain + 3, f"{plain:.1f} dB without the correction, {corrected:.1f} dB with it"
