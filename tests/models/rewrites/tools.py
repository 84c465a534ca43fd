"""A rewrite's test in three lines: capture a small module, rewrite it, hold the outputs against the original's."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from edgedeploy.core.provenance import Declined
from edgedeploy.models.rewrites import Rewrite, capture, seeded_inputs
from edgedeploy.models.rewrites.rewrite import rewrite_once

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Done:
    """What a rewrite did to a small module."""

    before: fx.GraphModule
    after: fx.GraphModule
    applied: int
    declined: tuple[Declined, ...]
    inputs: tuple[Tensor, ...]

    def count(self, operator: str) -> int:
        """How many calls of `aten.<operator>` are left."""
        return operators(self.after)[f"aten.{operator}"]

    def error(self) -> float:
        """Largest error over the original's deviation, for inputs that the rewrite never saw."""
        with torch.no_grad():
            expected, actual = self.before(*self.inputs), self.after(*self.inputs)
        return float((expected - actual).abs().max() / expected.std())


class Mean(nn.Module):
    """The mean over some axes."""

    def __init__(self, axes: tuple[int, ...], *, keep: bool = False) -> None:
        super().__init__()
        self.axes, self.keep = axes, keep

    def forward(self, x: Tensor) -> Tensor:
        return torch.mean(x, self.axes, self.keep)


def operators(module: fx.GraphModule) -> Counter[str]:
    """Operators by name, without their overloads."""
    return Counter(str(n.target).rsplit(".", 1)[0] for n in module.graph.nodes if n.op == "call_function")


def rewritten(rewrite: Rewrite, module: nn.Module, *shapes: Shape, seed: int = 0) -> Done:
    """Captures `module` with seeded weights and applies the rewrite; the original is checked to be untouched."""
    torch.manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            if part.affine:
                part.weight.data.uniform_(0.5, 1.5)
                part.bias.data.normal_()
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2.0)
    module.eval()
    state = {name: value.clone() for name, value in module.state_dict().items()}
    captured = capture(module, seeded_inputs(shapes, seed=1))
    code = captured.code
    after, applied, declined = rewrite_once(rewrite, captured)
    assert captured.code == code, "the captured network was changed"
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items()), "a weight was changed"
    return Done(captured, after, applied, declined, seeded_inputs(shapes, seed=2))
