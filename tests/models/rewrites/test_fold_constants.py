from __future__ import annotations

import torch
from torch import Tensor, nn

from edgedeploy.models.rewrites.fold_constants import REWRITE

from .tools import operators, rewritten


class Encoded(nn.Module):
    """Adds a position encoding that is computed anew at every call."""

    def __init__(self, repeat: int = 1) -> None:
        super().__init__()
        self.project = nn.Conv2d(4, 3, 1)
        self.repeat = repeat

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[2:]
        rows = torch.arange(h, dtype=torch.float32)[:, None].expand(h, w)
        columns = torch.arange(w, dtype=torch.float32)[None].expand(h, w)
        code = torch.stack([rows.sin(), rows.cos(), columns.sin(), columns.cos()])[None]
        return x + self.project(code)


def test_a_position_encoding_becomes_one_constant() -> None:
    done = rewritten(REWRITE, Encoded(), (1, 3, 8, 8))
    assert done.applied > 0
    assert operators(done.after) == {"aten.add": 1}
    assert done.error() < 1e-6


def test_what_depends_on_the_input_is_left_alone() -> None:
    done = rewritten(REWRITE, nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()), (1, 3, 8, 8))
    assert (done.applied, done.declined) == (0, ())


def test_a_constant_that_would_blow_up_the_file_is_declined() -> None:
    class Broad(nn.Module):
        one: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("one", torch.ones(1))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.one.expand(1, 3, 1024, 1024).clone()

    done = rewritten(REWRITE, Broad(), (1, 3, 1024, 1024))
    assert any("MiB" in one.reason for one in done.declined)


def test_random_numbers_are_not_frozen() -> None:
    class Noisy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.rand(3)

    done = rewritten(REWRITE, Noisy(), (1, 3))
    assert operators(done.after)["aten.rand"] == 1
    assert any("random" in one.reason for one in done.declined)


def test_the_parts_of_a_weight_become_weights() -> None:
    class CrossAttention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(9, 4))

        def forward(self, x: Tensor) -> Tensor:
            q, kv = self.weight.split([3, 6])
            return nn.functional.linear(x, q).repeat(1, 2) * nn.functional.linear(x, kv)

    done = rewritten(REWRITE, CrossAttention(), (2, 4))
    assert (done.applied, done.count("split_with_sizes"), done.count("linear")) == (2, 0, 2)
    assert done.error() == 0.0
