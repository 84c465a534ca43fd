from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import Tensor, nn

from edgedeploy.models.rewrites.softmax_over_rows import REWRITE

from .tools import rewritten


class AfterConvolution(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, 8, 3), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.conv(x))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.softmax(-1),
        lambda x: (x.relu() * 2).softmax(3),
        lambda x: x[:, 1:4].softmax(-1),
        lambda x: x.log_softmax(-1),
    ],
    ids=["softmax", "after activations", "after a slice", "log_softmax"],
)
def test_over_the_last_axis_of_an_image_it_reads_rows(function: Callable[[Tensor], Tensor]) -> None:
    done = rewritten(REWRITE, AfterConvolution(function), (2, 3, 6, 7))
    assert (done.applied, done.count("reshape")) == (1, 2)
    assert done.error() == 0.0


@pytest.mark.parametrize(
    "function",
    [lambda x: x.softmax(1), lambda x: x.softmax(2), lambda x: x.flatten(2).softmax(-1)],
    ids=["channels", "columns", "three dimensions"],
)
def test_other_axes_and_shapes_are_left_alone(function: Callable[[Tensor], Tensor]) -> None:
    done = rewritten(REWRITE, AfterConvolution(function), (2, 3, 6, 7))
    assert (done.applied, done.declined) == (0, ())


def test_attention_is_declined_since_a_matrix_product_is_in_torchs_order() -> None:
    done = rewritten(REWRITE, AfterConvolution(lambda x: (x @ x.transpose(-1, -2)).softmax(-1)), (2, 3, 6, 7))
    assert done.applied == 0
    assert "no output of a convolution" in done.declined[0].reason
