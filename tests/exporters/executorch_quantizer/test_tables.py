from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgedeploy.core.recipes import STATIC_INT8
from edgedeploy.exporters import to_executorch
from tests.exporters.small_network import SmallExports


class Gate(nn.Module):
    """A table between two int8 layers, with a view behind it."""

    def __init__(self, table: nn.Module) -> None:
        super().__init__()
        self.before, self.table, self.after = nn.Conv2d(3, 8, 1), table, nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.table(3 * self.before(x)).permute(0, 2, 3, 1))


def output(path: Path, x: Tensor) -> Tensor:
    from executorch.runtime import Runtime

    return Runtime.get().load_program(path).load_method("forward").execute([x])[0]


@pytest.mark.parametrize("table", [nn.GELU(), nn.Sigmoid()])
def test_a_table_gives_the_values_of_the_float_operator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: nn.Module
) -> None:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner

    exports = SmallExports(tmp_path, Gate(table))
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    lowered, path = exports.lower("executorch", STATIC_INT8)
    by_table, length = output(path, x), path.stat().st_size
    assert all(op.delegated for op in lowered.operators)
    monkeypatch.setattr(to_executorch, "partitioner", XnnpackPartitioner)
    _, path = exports.lower("executorch", STATIC_INT8)
    print((by_table - output(path, x)).abs().max(), length, path.stat().st_size)
    assert torch.equal(by_table, output(path, x))
    assert length < path.stat().st_size  # without the conversions
