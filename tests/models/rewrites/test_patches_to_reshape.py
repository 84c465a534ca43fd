from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgedeploy.models.rewrites.patches_to_reshape import REWRITE

from .tools import rewritten


class Patches(nn.Module):
    """Unfolds, changes each patch, and folds."""

    def __init__(self, kernel: tuple[int, int], **options: int) -> None:
        super().__init__()
        self.kernel, self.options = kernel, options

    def forward(self, x: Tensor) -> Tensor:
        options: Any = {"stride": self.kernel, **self.options}
        columns = F.unfold(x, self.kernel, **options)
        weights = torch.arange(columns.shape[-1] * columns.shape[-2]).view(columns.shape[-2:])
        return F.fold(columns * weights, x.shape[-2:], self.kernel, **options)


@pytest.mark.parametrize("kernel", [(2, 2), (1, 4), (3, 2)])
@pytest.mark.parametrize("batch", [(1,), (2,), ()])
def test_patches_side_by_side_become_reshapes(kernel: tuple[int, int], batch: tuple[int, ...]) -> None:
    done = rewritten(REWRITE, Patches(kernel), (*batch, 5, 6, 8))
    assert (done.applied, done.count("im2col"), done.count("col2im")) == (2, 0, 0)
    assert done.error() == 0


@pytest.mark.parametrize("options", [{"stride": 1}, {"padding": 1}, {"dilation": 2}])
def test_patches_that_overlap_or_leave_pixels_out_stay(options: dict[str, int]) -> None:
    done = rewritten(REWRITE, Patches((2, 2), **options), (1, 5, 6, 8))
    assert (done.applied, done.count("im2col"), done.count("col2im")) == (0, 1, 1)


def test_patches_that_do_not_cover_the_map_stay() -> None:
    assert rewritten(REWRITE, Patches((2, 2)), (1, 5, 7, 8)).applied == 0
