from __future__ import annotations

import pytest
from torch import nn

from edgedeploy.models.rewrites.crop_transposed_conv import REWRITE
from edgedeploy.models.rewrites.graph import argument

from .tools import rewritten


@pytest.mark.parametrize(
    "module",
    [
        nn.ConvTranspose2d(6, 4, 3, 2, 1, 1),
        nn.ConvTranspose2d(6, 4, 3, 2, 1),
        nn.ConvTranspose2d(6, 4, 5, 2, 2, 1),
        nn.ConvTranspose2d(6, 4, (3, 4), (2, 1), (1, 0), (1, 0)),
        nn.ConvTranspose2d(6, 4, 2, 2, 0, 1),
        nn.ConvTranspose2d(6, 4, 3, 2, 1, 1, groups=2, dilation=2),
    ],
    ids=["3 by 2", "no output padding", "5 by 2", "not square", "output padding alone", "groups, dilation"],
)
def test_padding_becomes_a_slice(module: nn.Module) -> None:
    done = rewritten(REWRITE, nn.Sequential(module), (2, 6, 4, 5))
    (left,) = (node for node in done.after.graph.nodes if "conv_transpose2d" in str(node.target))
    assert (done.applied, argument(left, 4), argument(left, 5)) == (1, [0, 0], [0, 0])
    assert done.error() < 1e-5


@pytest.mark.parametrize(
    "module", [nn.ConvTranspose2d(6, 4, 3, 2), nn.ConvTranspose2d(6, 4, 4, 2, 1)], ids=["VALID", "SAME"]
)
def test_what_tflite_has_is_left_alone(module: nn.Module) -> None:
    assert rewritten(REWRITE, nn.Sequential(module), (2, 6, 4, 5)).applied == 0
