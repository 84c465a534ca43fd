from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from edgedeploy.models.rewrites.rewrite import Rewrite
from edgedeploy.models.rewrites.split_large_depthwise import CUT_INPUTS, CUT_OUTPUTS

from .tools import rewritten

FORMS = pytest.mark.parametrize("form", [CUT_INPUTS, CUT_OUTPUTS], ids=str)


def depthwise(kernel: Any, **options: Any) -> nn.Module:
    return nn.Sequential(nn.Conv2d(6, 6, kernel, groups=6, **options))


@FORMS
@pytest.mark.parametrize(
    ("kernel", "padding", "parts"),
    [
        (7, 3, 3),
        (9, 4, 4),
        (9, 0, 5),
        (11, 5, 6),
        (7, 0, 3),
        ((3, 11), (1, 5), 2),
        ((11, 3), (2, 0), 2),
        ((7, 5), (3, 2), 2),
    ],
)
@pytest.mark.parametrize("bias", [True, False])
def test_a_large_kernel_becomes_a_sum_of_small_ones(
    form: Rewrite, kernel: Any, padding: Any, parts: int, bias: bool
) -> None:
    done = rewritten(form, depthwise(kernel, padding=padding, bias=bias), (2, 6, 12, 15))
    assert (done.applied, done.count("conv2d"), done.count("add")) == (1, parts, parts - 1)
    kernels = [node.args[1].meta["val"].shape for node in done.after.graph.nodes if "conv2d" in str(node.target)]
    assert all(height * width <= 25 for *_, height, width in kernels)
    assert done.error() < 1e-5


def test_the_input_is_padded_once_or_not_at_all() -> None:
    shape = (1, 6, 12, 12)
    assert rewritten(CUT_INPUTS, depthwise(7, padding=3), shape).count("constant_pad_nd") == 1
    assert rewritten(CUT_INPUTS, depthwise(7), shape).count("constant_pad_nd") == 0
    assert rewritten(CUT_OUTPUTS, depthwise(7, padding=3), shape).count("constant_pad_nd") == 0


def test_parts_with_dilation_are_neither_padded_nor_cut() -> None:
    done = rewritten(CUT_INPUTS, depthwise(9, padding=4), (1, 6, 12, 12))
    assert (done.count("constant_pad_nd"), done.count("slice")) == (0, 0)


def test_outputs_are_cut_where_the_map_is_large() -> None:
    assert rewritten(CUT_OUTPUTS, depthwise(7, padding=3), (1, 6, 64, 64)).count("slice") == 3
    assert rewritten(CUT_OUTPUTS, depthwise(7, padding=3), (1, 6, 7, 7)).count("slice") == 0


@FORMS
def test_a_kernel_of_25_taps_stays(form: Rewrite) -> None:
    assert rewritten(form, depthwise(5, padding=2), (1, 6, 12, 12)).applied == 0


@FORMS
@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (depthwise(7, stride=2), "stride"),
        (depthwise(7, dilation=2), "dilation"),
        (nn.Sequential(nn.Conv2d(6, 12, 7, groups=6)), "more outputs"),
        (depthwise((1, 27), padding=(0, 13)), "one row"),
    ],
)
def test_it_declines_with_a_reason(form: Rewrite, module: nn.Module, reason: str) -> None:
    done = rewritten(form, module, (1, 6, 16, 16))
    assert done.applied == 0
    assert reason in done.declined[0].reason


def test_a_dense_convolution_is_left_alone() -> None:
    done = rewritten(CUT_INPUTS, nn.Sequential(nn.Conv2d(6, 6, 7)), (1, 6, 12, 12))
    assert (done.applied, done.declined) == (0, ())
