"""The references in tests/data/reference: where they lie, their weight rule, and how an output is held against them.

The rule makes the same weights from nothing but a state_dict's keys and shapes, so that a network of ours and the
original can be compared without any checkpoint. It stands in each goldens.json too, under "rule".
"""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

REFERENCE = Path(__file__).parent.parent / "data" / "reference"


def read(family: str, name: str) -> Any:
    """The JSON file `name` of a family."""
    return json.loads((REFERENCE / family / f"{name}.json").read_text())


def seeded_tensor(key: str, shape: tuple[int, ...]) -> Tensor:
    """The value of one floating entry: a function of its key and shape alone."""
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    fan_in = math.prod(shape[1:]) if len(shape) >= 2 else 1
    if fan_in > 1:
        value = rng.standard_normal(shape) / math.sqrt(fan_in)
    elif key.endswith("running_var"):
        value = 1 + 0.2 * rng.random(shape)
    elif key.endswith(("running_mean", "bias")):
        value = 0.1 * rng.standard_normal(shape)
    else:
        value = 1 + 0.1 * rng.standard_normal(shape)
    return torch.from_numpy(np.asarray(value, dtype=np.float64).astype(np.float32))


def seeded_state_dict(module: nn.Module) -> dict[str, Tensor]:
    """The rule's weights for a module; integer entries (counters, indices) stay as they are."""
    return {
        key: seeded_tensor(key, tuple(entry.shape)) if entry.is_floating_point() else entry
        for key, entry in module.state_dict().items()
    }


def seeded(module: nn.Module) -> nn.Module:
    """The module itself, with the rule's weights."""
    module.load_state_dict(seeded_state_dict(module))
    return module.eval()


def golden_input(record: dict[str, Any]) -> Tensor:
    """The input of a golden entry, from its "input" record."""
    values = np.random.default_rng(record["seed"]).standard_normal(record["shape"]).astype(np.float32)
    return torch.from_numpy(values * np.float32(record["scale"]))


def largest_error(expected: dict[str, Any], actual: Tensor) -> float:
    """Largest error over the sampled values, as a share of the reference output's standard deviation."""
    assert list(actual.shape) == expected["shape"]
    values = actual.detach().numpy().ravel()[expected["indices"]]
    return float(np.abs(values - np.asarray(expected["values"])).max() / expected["std"])
