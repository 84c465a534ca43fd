from __future__ import annotations

import pytest
from torch import Tensor, nn

from edgedeploy.models.rewrites.permute_before_view import REWRITE

from .tools import operators, rewritten


class FromMap(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).transpose(1, 2).softmax(-1)


class ToMap(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.softmax(-1).transpose(1, 2).reshape(2, 3, 4, 5) * 2


class Heads(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2) * 2


@pytest.mark.parametrize(("module", "shape"), [(FromMap(), (2, 3, 4, 5)), (ToMap(), (2, 20, 3))])
def test_the_permute_is_beside_the_map(module: nn.Module, shape: tuple[int, ...]) -> None:
    done = rewritten(REWRITE, module, shape)
    (permute,) = [node for node in done.after.graph.nodes if "permute" in str(node.target)]
    assert (done.applied, len(permute.args[1]), operators(done.after)["aten.transpose"]) == (1, 4, 0)
    assert done.error() == 0


def test_a_transpose_without_a_map_is_declined() -> None:
    done = rewritten(REWRITE, Heads(), (2, 20, 3))
    assert done.applied == 0
    assert "no view of a map" in done.declined[0].reason
