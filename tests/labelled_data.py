"""Small labelled sets, and two small networks for them: the class of an image, or of a pixel, shows in its colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgedeploy import export
from tests.once import made_once

SIDE = 32
CLASSES = 11
INPUT = f"1x3x{SIDE}x{SIDE}"
TARGET_OF = {"classify": "onnx-int8", "segment": "tflite-int8"}
NETWORK = f"""
import torch
from torch import nn


class Segment(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 8, 2, stride=2)
        self.head = nn.Conv2d(8, {CLASSES}, 1)

    def forward(self, x):
        return self.head(torch.relu(self.stem(x)))


class Classify(Segment):
    def forward(self, x):
        return super().forward(x).mean((2, 3))


def classify():
    return Classify()


def segment():
    return Segment()
"""


def exported_with_data(factory: pytest.TempPathFactory) -> Path:
    """A folder with net.py, both networks in int8, 66 images in `classes` and 24 in `pixels`. Tests must not change it."""

    def make(folder: Path) -> None:
        (folder / "net.py").write_text(NETWORK)
        class_folders(folder / "classes", 66)
        images_and_masks(folder / "pixels", 24)
        for function, target in TARGET_OF.items():
            export(f"{folder}/net.py:{function}", target, inputs=[INPUT], output=folder, num_calib=8)

    return made_once("evaluated", factory, make)


def artifact_of(folder: Path, function: str) -> Path:
    """The artifact of one of the two networks."""
    return folder / f"net-{function}" / TARGET_OF[function]


def class_folders(folder: Path, count: int) -> None:
    """`count` images of noise around a colour of their class, in folders 00 to 10."""
    rng = np.random.default_rng(0)
    for index in range(count):
        label = index % CLASSES
        target = folder / f"{label:02}"
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(_noise(_colours()[np.full((SIDE, SIDE), label)], rng)).save(target / f"{index:03}.png")


def images_and_masks(folder: Path, count: int) -> None:
    """Images of four fields, and the class of each pixel; some pixels have none."""
    rng = np.random.default_rng(1)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for index in range(count):
        classes = rng.integers(CLASSES, size=(2, 2)).repeat(SIDE // 2, axis=0).repeat(SIDE // 2, axis=1)
        Image.fromarray(_noise(_colours()[classes], rng)).save(folder / "images" / f"{index:03}.png")
        classes[:3] = 255
        Image.fromarray(classes.astype(np.uint8)).save(folder / "masks" / f"{index:03}.png")


def _colours() -> np.ndarray:
    return np.random.default_rng(2).integers(40, 216, (CLASSES, 3))


def _noise(colours: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.rint(colours + rng.normal(0, 30, colours.shape)).clip(0, 255).astype(np.uint8)
