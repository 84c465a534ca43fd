from __future__ import annotations

from torch import Tensor, nn

from edgedeploy.models.rewrites.silu_to_gate import REWRITE

from .tools import rewritten


def test_a_silu_becomes_a_sigmoid_and_a_product() -> None:
    done = rewritten(REWRITE, nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU(), nn.SiLU(inplace=True)), (2, 3, 6, 6))
    assert done.applied == 2
    assert (done.count("silu"), done.count("sigmoid"), done.count("mul")) == (0, 2, 2)
    assert done.error() < 1e-6


class InPlace(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x + 1
        nn.functional.silu(y.view(-1), inplace=True)
        return y


def test_a_silu_in_place_of_a_view_is_declined_with_a_reason() -> None:
    done = rewritten(REWRITE, InPlace(), (2, 3))
    assert (done.applied, done.error()) == (0, 0)
    assert "in place" in done.declined[0].reason


def test_other_activations_are_left_alone() -> None:
    done = rewritten(REWRITE, nn.Sequential(nn.GELU(), nn.Hardswish()), (2, 3))
    assert (done.applied, done.declined) == (0, ())
