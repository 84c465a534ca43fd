"""Operator: one operator of any format's graph, as recipes and regions read it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(frozen=True)
class Operator:
    """One operator of a graph.

    Attributes:
        key: identity in the graph.
        type: as the format names it, such as "Conv", "CONV_2D" or "aten.conv2d.default".
        inputs, outputs: the values that it reads and writes.
        module: path of the module that it came from in the original network; "" where that cannot be traced.
    """

    key: Hashable
    type: str
    inputs: tuple[Hashable, ...]
    outputs: tuple[Hashable, ...]
    module: str = ""
