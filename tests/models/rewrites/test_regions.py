"""Blocks that torch.export puts into submodules because of a `with` statement around them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
import torch
from torch import Tensor, nn

from edgedeploy.core.errors import ExportFailed
from edgedeploy.models.rewrites import capture

BLOCKS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "no_grad": torch.no_grad,
    "enable_grad": torch.enable_grad,
    "autocast for a GPU": lambda: torch.autocast("cuda", torch.float16),
    "disabled autocast": lambda: torch.autocast("cpu", torch.bfloat16, enabled=False),
}


class WithBlock(nn.Module):
    """A layer and two results inside of a block, and a block inside of it."""

    def __init__(self, outer: str, inner: str = "") -> None:
        super().__init__()
        self.first, self.layer = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, padding=1)
        self.outer, self.inner = outer, inner

    def block(self, name: str) -> AbstractContextManager[object]:
        return BLOCKS[name]() if name else nullcontext()

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        with self.block(self.outer):
            y = self.layer(x).relu()
            with self.block(self.inner):
                z = y * x.amax() + 1
        return y - z


@pytest.mark.filterwarnings("ignore:CUDA is not available")
@pytest.mark.parametrize("inner", ["", *BLOCKS])
@pytest.mark.parametrize("outer", BLOCKS)
def test_a_block_becomes_its_operators(outer: str, inner: str) -> None:
    torch.manual_seed(0)
    net, x = WithBlock(outer, inner).eval(), torch.rand(1, 3, 8, 8)
    module = capture(net, (x,))
    assert not [node for node in module.graph.nodes if "higher_order" in str(getattr(node.target, "__module__", ""))]
    assert [str(node.target) for node in module.graph.nodes].count("aten.conv2d.default") == 2
    torch.testing.assert_close(module(x), net(x), rtol=0, atol=0)
    paths = [list(node.meta["nn_module_stack"].values())[-1][0] for node in module.graph.nodes if "conv2d" in node.name]
    assert [path.rpartition(".")[2] for path in paths] == ["first", "layer"]


def test_an_autocast_that_lowers_the_precision_is_refused() -> None:
    class Lowers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                y = self.layer(x)
            return y.float()

    with pytest.raises(ExportFailed, match="lower precision"):
        capture(Lowers().eval(), (torch.rand(1, 3, 4, 4),))
