from __future__ import annotations

import torch
from torch import nn

from edgedeploy.models.rewrites import apply, capture, seeded_inputs
from edgedeploy.models.rewrites.gelu_to_tanh import REWRITE

from .tools import rewritten


def test_gelu_keeps_its_values_to_half_a_thousandth() -> None:
    done = rewritten(REWRITE, nn.Sequential(nn.GELU()), (4, 1000))
    x = torch.linspace(-8, 8, 4000).reshape(4, 1000)
    assert done.applied == 1
    assert 1e-5 < float((done.before(x) - done.after(x)).abs().max()) < 5e-4


def test_a_gelu_by_tanh_is_left_alone() -> None:
    assert rewritten(REWRITE, nn.Sequential(nn.GELU(approximate="tanh")), (2, 8)).applied == 0


def test_a_network_that_magnifies_the_difference_keeps_its_gelu() -> None:
    class Magnified(nn.Module):
        """What is left of GELU after an approximation of it, a thousand times."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 1000 * (nn.functional.gelu(x) - nn.functional.gelu(x, approximate="tanh"))

    inputs = seeded_inputs([(2, 64)], seed=1)
    (outcome,) = apply([REWRITE], capture(Magnified().eval(), inputs), [inputs]).outcomes
    assert outcome.applied == 0
    assert "would differ" in outcome.declined[0].reason
