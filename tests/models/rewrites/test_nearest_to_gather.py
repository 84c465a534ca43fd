from __future__ import annotations

import pytest
import torch.nn.functional as F
from torch import Tensor, nn

from edgedeploy.models.rewrites.nearest_to_gather import REWRITE

from .tools import rewritten


class Resize(nn.Module):
    def __init__(self, **options: object) -> None:
        super().__init__()
        self.options = options

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x.relu(), **self.options)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
@pytest.mark.parametrize(
    ("options", "gathers"),
    [
        ({"size": (7, 9)}, 2),
        ({"size": (3, 8)}, 1),
        ({"scale_factor": 1.7}, 2),
        ({"scale_factor": 2.2}, 2),
        ({"size": (2, 3)}, 2),
    ],
    ids=["rows and columns", "columns alone", "factor", "factor near a whole one", "smaller"],
)
def test_a_ratio_that_is_no_whole_number_becomes_gathers(mode: str, options: dict[str, object], gathers: int) -> None:
    done = rewritten(REWRITE, Resize(mode=mode, **options), (2, 4, 3, 5))
    assert (done.applied, done.count("index_select")) == (1, gathers)
    assert done.error() == 0.0


def test_a_whole_ratio_is_left_alone() -> None:
    assert rewritten(REWRITE, Resize(size=(6, 15), mode="nearest"), (2, 4, 3, 5)).applied == 0
