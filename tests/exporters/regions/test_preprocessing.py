from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgedeploy.exporters.regions.preprocessing import preprocessing
from edgedeploy.exporters.to_tflite import REGION_TYPES
from edgedeploy.pipeline.export import export

from .test_normalization import graph


def region(*lines: str) -> list[object]:
    return preprocessing(graph(*lines), REGION_TYPES.preprocessing)


def test_arithmetic_of_the_input_with_constants_stays_in_float() -> None:
    lines = ("a = SUB x mean", "b = DIV a std", "c = CONV_2D b w", "d = ADD c bias")
    assert region(*lines) == ["a", "b"]


def test_views_belong_to_it_where_they_lead_to_arithmetic() -> None:
    assert region("t = TRANSPOSE x order", "a = MUL t scale", "r = RESHAPE a shape", "c = CONV_2D r w") == ["t", "a"]
    assert region("t = TRANSPOSE x order", "c = CONV_2D t w") == []


def test_a_layer_ends_it() -> None:
    assert region("c = CONV_2D x w", "a = ADD c x") == []


class Normalized(nn.Module):
    """Pixels from 0 to 255, normalized inside the network."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Buffer(torch.tensor([0.017, 0.0175, 0.0175]).view(3, 1, 1))
        self.shift = nn.Buffer(torch.tensor([-2.1, -2.0, -1.8]).view(3, 1, 1))
        self.layer = nn.Conv2d(3, 8, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x * self.gain + self.shift).relu()


def make() -> nn.Module:
    torch.manual_seed(0)
    return Normalized()


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    folder, rng = tmp_path / "calibration", np.random.default_rng(0)
    folder.mkdir()
    for index in range(8):
        np.save(folder / f"{index}.npy", rng.uniform(0, 255, (1, 3, 32, 32)).astype(np.float32))
    return folder


@pytest.mark.parametrize("target", ["onnx-int8", "executorch-int8", "tflite-int8"])
def test_a_normalization_inside_the_network_is_computed_in_float(
    target: str, calibration: Path, tmp_path: Path
) -> None:
    (made,) = export(f"{__name__}:make", target, inputs=("1x3x32x32",), calib=calibration, output=tmp_path / "out")
    arithmetic = [op for op in made.operators() if any(word in op.type.lower() for word in ("mul", "add"))]
    assert arithmetic
    assert not any(op.int8 for op in arithmetic)
    assert made.manifest.parity[0].sqnr > 35


def test_integer_inputs_are_read_by_integer_arithmetic(calibration: Path, tmp_path: Path) -> None:
    options = {"inputs": ("1x3x32x32",), "calib": calibration, "output": tmp_path / "out", "allow_low_parity": True}
    (made,) = export(f"{__name__}:make", "onnx-int8", int8_io=True, **options)  # type: ignore[arg-type]
    assert made.manifest.inputs[0].dtype == "int8"
