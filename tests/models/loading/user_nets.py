"""A file with networks of every kind that a user may write, and a short way to load one."""

from __future__ import annotations

from pathlib import Path

from edgedeploy.models.loading import LoadOptions, Network, load_network

NET = '''
import torch
from torch import nn


class Two(nn.Module):
    """An image and tokens in, a dictionary out."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(50, 8)
        self.conv = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, image, tokens):
        y = self.conv(image).relu()
        return {"scores": y.mean((2, 3)) + self.table(tokens).mean(1), "more": (y, None)}


class Branch(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x
        return -x


class Narrow(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1))

    def forward(self, x):
        return self.body(x)


def two():
    return Two(), (torch.randn(1, 3, 16, 16), torch.randint(0, 50, (1, 6)))


def by_name():
    return Two(), {"tokens": torch.randint(0, 50, (1, 6)), "image": torch.randn(1, 3, 16, 16)}


def plain(num_classes=5):
    print("building")
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(1), nn.LazyLinear(num_classes))


def small():
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def branch():
    return nn.Sequential(nn.Conv2d(3, 3, 1), Branch())


def raises():
    sizes = {}
    return sizes["nope"]


def wants(depth, width=3):
    return nn.Identity()


def number():
    return 7


def gives_a_number():
    class Net(nn.Module):
        def forward(self, x):
            return {"size": x.shape[0]}

    return Net(), torch.zeros(1, 3)


ready = nn.Sequential(nn.Conv2d(3, 4, 3))
'''


def load(
    model: str,
    *,
    weights: str | Path | None = None,
    input_size: tuple[int, int] | None = None,
    inputs: tuple[str, ...] = (),
    num_classes: int | None = None,
) -> Network:
    """`load_network` with the options as keywords."""
    return load_network(model, LoadOptions(weights, input_size, inputs, num_classes))


def inputs_of(network: Network) -> list[tuple[str, tuple[int, ...], str]]:
    """Name, shape and dtype of each input."""
    return [(spec.name, spec.shape, spec.dtype) for spec in network.inputs]
