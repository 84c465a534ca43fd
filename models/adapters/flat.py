"""Networks that return dictionaries, dataclasses or nested tuples, as networks that return a flat tuple.

Every format has a list of outputs. `Flat(network)` gives the same tensors in a fixed order: that in which the network's own
container holds them. `flatten` gives their names.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from edgedeploy.core.errors import ModelInvalid


def flatten(output: Any, name: str = "") -> list[tuple[str, Tensor]]:
    """Every tensor of a network's output with its name, in order; None is left out.

    A bare tensor is called "output", an entry of a tuple "output_0", of a dictionary or dataclass by its key, a nested one
    "outer.inner". Raises ModelInvalid for what is no tensor.
    """
    if isinstance(output, Tensor):
        return [(name or "output", output)]
    if output is None:
        return []
    children: list[tuple[str, Any]]
    if isinstance(output, Mapping):  # ahead of dataclasses: transformers' outputs are both
        children = [(str(key), value) for key, value in output.items()]
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        children = [(field.name, getattr(output, field.name)) for field in dataclasses.fields(output)]
    elif isinstance(output, tuple) and hasattr(output, "_fields"):
        children = list(zip(output._fields, output, strict=True))
    elif isinstance(output, Sequence) and not isinstance(output, str | bytes):
        stem = "" if name else "output_"
        children = [(f"{stem}{index}", value) for index, value in enumerate(output)]
    else:
        raise ModelInvalid(
            f"the network's output {name or ''} is a {type(output).__name__}, not a tensor".replace("  ", " "),
            hint="return tensors only: a tensor, a tuple, a dictionary or a dataclass of them",
        )
    return [leaf for key, value in children for leaf in flatten(value, f"{name}.{key}" if name else key)]


class Flat(nn.Module):
    """`network` with positional inputs and a flat tuple of outputs.

    Args:
        network: any module.
        keywords: names by which the network takes its last inputs; those before them it takes by position.
        copies_inputs: the network gets copies, because it changes its inputs in place.
    """

    adapts = "network"  # paths of modules begin inside of it

    def __init__(self, network: nn.Module, keywords: Sequence[str] = (), *, copies_inputs: bool = False) -> None:
        super().__init__()
        self.network = network
        self.keywords = tuple(keywords)
        self.copies_inputs = copies_inputs

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        if self.copies_inputs:
            inputs = tuple(x.clone() for x in inputs)
        by_position = len(inputs) - len(self.keywords)
        output = self.network(*inputs[:by_position], **dict(zip(self.keywords, inputs[by_position:], strict=True)))
        return tuple(tensor for _, tensor in flatten(output))
