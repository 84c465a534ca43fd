from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from edgedeploy.models.rewrites.adaptive_pool_to_fixed import REWRITE, pooling_matrix

from .tools import rewritten


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (8, 8), (5, 7), (2, 8), (15, 15), (16, 20)])
@pytest.mark.parametrize("shape", [(2, 3, 15, 15), (1, 3, 16, 20), (1, 4, 30, 7)])
def test_pooling_is_exact_for_every_size(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    done = rewritten(REWRITE, nn.AdaptiveAvgPool2d(size), shape)
    assert (done.applied, done.count("adaptive_avg_pool2d")) == (1, 0)
    assert done.error() < 1e-6


def test_sizes_that_divide_take_a_plain_pooling() -> None:
    done = rewritten(REWRITE, nn.AdaptiveAvgPool2d((4, 5)), (1, 3, 16, 20))
    assert (done.count("avg_pool2d"), done.count("linear")) == (1, 0)


def test_pooling_to_the_same_size_goes() -> None:
    done = rewritten(REWRITE, nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(8)), (1, 3, 8, 8))
    assert sum(1 for node in done.after.graph.nodes if node.op == "call_function") == 1


def test_the_windows_are_torchs_own() -> None:
    line = torch.arange(15.0)
    ours = pooling_matrix(15, 8) @ line
    torch.testing.assert_close(ours, F.adaptive_avg_pool1d(line[None], 8)[0])


def test_an_input_without_batch_is_declined() -> None:
    done = rewritten(REWRITE, nn.AdaptiveAvgPool2d(2), (3, 8, 8))
    assert done.applied == 0
    assert "no batch" in done.declined[0].reason
