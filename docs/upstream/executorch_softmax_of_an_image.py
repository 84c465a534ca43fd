"""ExecuTorch, XNNPACK, float32: softmax over the last axis of a convolution's output is over its channels."""

import sys

import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
from executorch.runtime import Runtime
from torch import nn


class Network(nn.Module):
    def __init__(self, dim: int, view: bool = False) -> None:
        super().__init__()
        self.conv, self.dim, self.view = nn.Conv2d(3, 8, 3, padding=1), dim, view

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        if self.view:
            return y.reshape(8, 16, 20).softmax(self.dim).reshape(y.shape)
        return y.softmax(self.dim)


def error(network: nn.Module, x: torch.Tensor) -> float:
    """Largest error over the output's standard deviation."""
    program = torch.export.export(network.eval(), (x,))
    file = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch()
    (found,) = Runtime.get().load_program(file.buffer).load_method("forward").execute((x,))
    expected = network(x)
    return float((found - expected).abs().max() / expected.std())


torch.manual_seed(0)
image = torch.randn(1, 3, 16, 20)
with torch.no_grad():
    errors = {
        "softmax(1)": error(Network(1), image),
        "softmax(2)": error(Network(2), image),
        "softmax(-1)": error(Network(-1), image),
        "softmax(-1) of a view of three dimensions": error(Network(-1, view=True), image),
    }
for name, value in errors.items():
    print(f"{name:42} {value:.2g} σ")
sys.exit(max(errors.values()) > 1e-4)
