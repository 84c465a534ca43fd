from __future__ import annotations

import pytest
from torch import Tensor, nn
from torch.nn.functional import interpolate

from edgedeploy.models.rewrites.resize_to_products import REWRITE

from .tools import rewritten


class Resize(nn.Module):
    def __init__(self, size: tuple[int, int], *, mode: str = "bilinear", corners: bool | None = False) -> None:
        super().__init__()
        self.size, self.mode, self.corners = size, mode, corners

    def forward(self, x: Tensor) -> Tensor:
        return interpolate(x, size=self.size, mode=self.mode, align_corners=self.corners)


@pytest.mark.parametrize("corners", [True, False])
@pytest.mark.parametrize("size", [(32, 32), (15, 24), (4, 5), (8, 6)])
def test_a_resize_becomes_two_products(size: tuple[int, int], corners: bool) -> None:
    done = rewritten(REWRITE, Resize(size, corners=corners), (2, 3, 8, 6))
    assert (done.applied, done.count("upsample_bilinear2d"), done.count("matmul")) == (1, 0, 2)
    assert done.error() < 1e-5


def test_a_large_map_declines() -> None:
    done = rewritten(REWRITE, Resize((128, 128)), (1, 2, 64, 64))
    assert done.applied == 0
    assert "cost more" in done.declined[0].reason


def test_a_nearest_resize_is_left_alone() -> None:
    done = rewritten(REWRITE, Resize((32, 32), mode="nearest", corners=None), (1, 2, 8, 8))
    assert (done.applied, done.declined) == (0, ())
