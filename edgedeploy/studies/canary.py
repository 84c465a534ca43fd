"""Makes the canaries in benchmarks/canary anew, one file for each runtime: python -m edgedeploy.studies.canary

They are files in the tree, so that a canary is the same on every machine and with every version of the converters. Whoever
makes them anew changes what all later measurements are seen beside: say why in the commit.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

import edgedeploy
from edgedeploy.benchmarks.canary import FILES, FOLDER, INPUT_SHAPES

TARGETS = ("onnx-fp32", "executorch-fp32", "tflite-fp32")


class Canary(nn.Module):
    """Two dense convolutions and a pointwise one: about 125 M multiply-accumulates on 11 KB of weights."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body, self.head = nn.Conv2d(3, 16, 3, 1, 1), nn.Conv2d(16, 16, 3, 1, 1), nn.Conv2d(16, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        for _ in range(12):
            x = self.body(x).relu()
        return self.head(x).mean(dim=(2, 3))


def make() -> nn.Module:
    """The network with seeded weights."""
    torch.manual_seed(0)
    return Canary().eval()


def main() -> None:
    """Exports and copies the files."""
    shape = "x".join(map(str, INPUT_SHAPES["onnxruntime"]))
    with tempfile.TemporaryDirectory() as folder:
        for artifact in edgedeploy.export(f"{__file__}:make", TARGETS, inputs=(shape,), output=Path(folder)):
            target = FOLDER / FILES[artifact.manifest.runtime]
            shutil.copyfile(artifact.path, target)
            print(target, target.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
