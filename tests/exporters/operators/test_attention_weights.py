from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from edgedeploy.exporters.operators.attention_weights import SoftmaxRounding
from edgedeploy.pipeline.export import export


def even_over(places: int) -> SoftmaxRounding:
    logits = np.random.default_rng(0).normal(0, 0.3, (8, places))
    weights = np.exp(logits)
    rounding = SoftmaxRounding()
    rounding.update((weights / weights.sum(-1, keepdims=True)).astype(np.float32))
    return rounding


def test_even_attention_over_many_places_is_lost_in_steps_of_an_int8_softmax() -> None:
    assert [even_over(places).is_lost for places in (16, 64, 128, 256, 1024)] == [False, False, True, True, True]
    assert even_over(1024).sqnr_db == pytest.approx(0, abs=0.1)


def test_attention_that_picks_single_places_is_not_lost() -> None:
    rounding = SoftmaxRounding()
    rounding.update(np.eye(1024, dtype=np.float32))
    assert not rounding.is_lost


def test_of_no_values_nothing_is_lost() -> None:
    assert SoftmaxRounding().sqnr_db == math.inf


NETWORK = """
import torch
from torch import nn

class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.qkv, self.head = nn.Conv2d(3, 16, 3, padding=1), nn.Linear(16, 48), nn.Linear(16, 5)
        self.bias = nn.Parameter(0.1 * torch.randn(1024, 1024))

    def forward(self, x):
        q, k, v = self.qkv(self.stem(x).flatten(2).transpose(1, 2)).chunk(3, dim=-1)
        logits = (q @ k.transpose(-2, -1)).mul(0.25)
        if self.biased:
            logits = logits + self.bias
        return self.head((logits.softmax(dim=-1) @ v).amax(dim=1))

def made(biased):
    torch.manual_seed(0)
    network = Attention().eval()
    network.biased = biased
    return network

def plain():
    return made(biased=False)

def biased():
    return made(biased=True)
"""
CASES = [
    *((function, f"{runtime}-int8", "arm") for function in ("plain", "biased") for runtime in ("onnx", "tflite")),
    ("plain", "executorch-int8", "arm"),
    ("plain", "onnx-int8", "x86"),
]


@pytest.mark.parametrize(("function", "target", "tune_for"), CASES)
def test_attention_over_1024_places_survives_int8(function: str, target: str, tune_for: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NETWORK)
    (made,) = export(
        f"{tmp_path / 'net.py'}:{function}", target, inputs=("1x3x32x32",), tune_for=tune_for,
        output=tmp_path / "out",
    )  # fmt: skip
    assert made.manifest.parity[0].sqnr > 25
