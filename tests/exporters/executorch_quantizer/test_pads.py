from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from edgedeploy.core.recipes import STATIC_INT8
from edgedeploy.exporters import to_executorch
from tests.exporters.small_network import SmallExports

from .test_tables import output


class Padded(nn.Module):
    """An int8 layer, and a function of its result."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.before, self.function = nn.Conv2d(3, 8, 1), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.before(x))


@pytest.mark.parametrize(
    "function",
    [
        lambda y: pad(y, [2, 2, 2, 2]),
        lambda y: pad(y.flatten(0, 1), [0, 1]).flatten(1),
        lambda y: pad(pad(y.flatten(2), [0, 1]), [0, 0, 1, 0])[:, 1:],
        lambda y: pad(y, [1, 1]) + pad(y, [1, 1]).relu(),
        lambda y: pad(y, [0, 1], value=0.5),
    ],
    ids=["at the end", "before a view", "two", "two readers", "by another value"],
)
def test_a_pad_behind_an_int8_layer_runs(tmp_path: Path, function: Callable[[Tensor], Tensor]) -> None:
    module = Padded(function).eval()
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    _, path = SmallExports(tmp_path, module).lower("executorch", STATIC_INT8)
    with torch.no_grad():
        expected = module(x)
    assert (output(path, x) - expected).abs().max() < 0.15 * expected.std()


def test_a_pad_between_int8_layers_takes_no_conversions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner

    exports = SmallExports(tmp_path, nn.Sequential(nn.Conv2d(3, 8, 1), nn.ZeroPad2d(2), nn.Conv2d(8, 4, 3)))
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    lowered, path = exports.lower("executorch", STATIC_INT8)
    in_int8, length = output(path, x), path.stat().st_size
    assert all(op.delegated for op in lowered.operators)
    monkeypatch.setattr(to_executorch, "partitioner", XnnpackPartitioner)
    _, path = exports.lower("executorch", STATIC_INT8)
    assert torch.equal(in_int8, output(path, x))
    assert length < path.stat().st_size
