from __future__ import annotations

import pytest
import torch.nn.functional as F
from torch import Tensor, nn

from edgedeploy.models.rewrites.graph import argument
from edgedeploy.models.rewrites.resize_to_fixed_size import REWRITE

from .tools import rewritten


class Resize(nn.Module):
    def __init__(self, **options: object) -> None:
        super().__init__()
        self.options = options

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x.relu(), **self.options)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "nearest"])
def test_a_factor_becomes_a_size(mode: str) -> None:
    done = rewritten(REWRITE, Resize(scale_factor=2.0, mode=mode), (1, 3, 6, 5))
    assert done.applied == 1
    assert done.error() < 1e-6
    (node,) = (n for n in done.after.graph.nodes if "upsample" in str(n.target))
    assert argument(node, 1) == [12, 10]


def test_a_resize_to_the_same_size_goes() -> None:
    done = rewritten(REWRITE, Resize(size=(6, 5), mode="bilinear"), (1, 3, 6, 5))
    assert (done.applied, done.count("upsample_bilinear2d")) == (1, 0)
    assert done.error() == 0.0


def test_a_factor_without_whole_sizes_is_declined_since_torch_samples_by_the_factor() -> None:
    done = rewritten(REWRITE, Resize(scale_factor=1.7, mode="bilinear"), (1, 3, 6, 5))
    assert done.applied == 0
    assert "do not give whole sizes" in done.declined[0].reason


def test_a_resize_with_a_fixed_size_is_left_alone() -> None:
    done = rewritten(REWRITE, Resize(size=(9, 9), mode="bilinear"), (1, 3, 6, 5))
    assert (done.applied, done.declined) == (0, ())
