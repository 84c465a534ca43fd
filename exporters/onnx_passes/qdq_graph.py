"""What passes read of a QDQ model, and the constants that they add."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Affine:
    """real = scale * (code - zero_point), one scale for the whole tensor."""

    scale: float
    zero_point: int


def shapes_of(values: Iterable[Any]) -> dict[str, list[int]]:
    """The shapes of values (ValueInfoProto), by name; a length that is not known is 0."""
    return {value.name: [side.dim_value for side in value.type.tensor_type.shape.dim] for value in values}


class QdqGraph:
    """The graph of a ModelProto; it is changed in place."""

    def __init__(self, model: Any) -> None:
        self.nodes = model.graph.node
        self.constants = {constant.name: constant for constant in model.graph.initializer}
        self.outputs = {value.name for value in model.graph.output}
        self.writers = {name: node for node in self.nodes for name in node.output}
        self._model = model

    def readers(self, value: str) -> list[Any]:
        """The nodes that read a value, in order."""
        return [node for node in self.nodes if value in node.input]

    def affine(self, conversion: Any) -> Affine | None:
        """Of a QuantizeLinear or DequantizeLinear; None where its scale and zero point are not constant int8 scalars."""
        from onnx import numpy_helper

        held = [self.constants.get(name) for name in conversion.input[1:3]]
        if len(held) < 2 or any(constant is None for constant in held):
            return None
        scale, zero_point = (numpy_helper.to_array(constant) for constant in held)
        if scale.size != 1 or zero_point.dtype != np.int8:
            return None
        return Affine(float(scale.reshape(())), int(zero_point.reshape(())))

    def add_affine(self, name: str, affine: Affine) -> tuple[str, str]:
        """Two new constants, by name: a float32 scale and an int8 zero point."""
        return (
            self.add_constant(f"{name}_scale", np.float32(affine.scale)),
            self.add_constant(f"{name}_zero_point", np.int8(affine.zero_point)),
        )

    def add_constant(self, name: str, value: Any) -> str:
        """A new constant; returns its name."""
        from onnx import numpy_helper

        self.add(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, constant: Any) -> None:
        """Takes a constant (TensorProto) in."""
        self._model.graph.initializer.append(constant)
        self.constants[constant.name] = self._model.graph.initializer[-1]

    def remove_unread(self, node: Any) -> None:
        """Removes a node that nobody reads, and the constants that only it read."""
        if any(name in self.outputs or self.readers(name) for name in node.output):
            return
        self.nodes.remove(node)
        for name in node.input:
            self.remove_unread_constant(name)

    def remove_unread_constant(self, name: str) -> None:
        """Removes a constant that nobody reads; any other value stays."""
        if name in self.constants and not self.readers(name):
            self._model.graph.initializer.remove(self.constants.pop(name))

    def replace(self, node: Any, new: list[Any]) -> None:
        """Puts new nodes in a node's place."""
        at = list(self.nodes).index(node)
        self.nodes.remove(node)
        for offset, added in enumerate(new):
            self.nodes.insert(at + offset, added)
        self.writers = {name: writer for writer in self.nodes for name in writer.output}
