"""The operators of a network that torchao has quantized for ExecuTorch, which torch runs one by one.

Such a network computes in float between quantize and dequantize operators; ExecuTorch's delegate replaces what lies between
these by integer kernels. Ranges and formats are the file's own, kernels are not.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
import torch
from torch import fx

from edgedeploy.core.parity import Array
from edgedeploy.exporters.operators.module_paths import module_path

from .steps import RunStep, Step

CONVERSION = "quantized_decomposed."


class QuantizedGraph:
    """See StepFile."""

    def __init__(self, module: fx.GraphModule) -> None:
        self._module = module
        nodes = list(module.graph.nodes)
        self._by_name = {node.name: node for node in nodes}
        self._depends = _dependents(nodes)
        placeholders = [node for node in nodes if node.op == "placeholder"]
        self.inputs: Sequence[str] = [node.name for node in placeholders]
        self.input_shapes: Sequence[tuple[int, ...]] = [tuple(node.meta["val"].shape) for node in placeholders]
        self.outputs: Sequence[str] = [_base(node).name for node in nodes[-1].all_input_nodes]
        self.steps: Sequence[Step] = [self._step(node) for node in nodes if self._is_step(node)]

    def opened(self, step: Step, values: Sequence[Array]) -> RunStep:
        """See StepFile."""
        result = _rounded(self._by_name[step.name])
        needed = list(dict.fromkeys(self._needed(result, frozenset(step.inputs))))

        def run(values: Sequence[Array]) -> list[Array]:
            held: dict[fx.Node, Any] = {
                self._by_name[name]: torch.tensor(value) for name, value in zip(step.inputs, values, strict=True)
            }
            with torch.no_grad():
                for node in needed:
                    held[node] = self._value(node, held)
            return [np.asarray(held[result].numpy())]

        return run

    def limits(self, tensor: str) -> tuple[float, float] | None:
        """See StepFile."""
        quantize = _quantize_of(self._by_name[tensor])
        if quantize is None:
            return None
        args: tuple[Any, ...] = quantize.args
        _, scale, zero_point, lowest, highest, *_ = args
        return (lowest - zero_point) * scale, (highest - zero_point) * scale

    def _is_step(self, node: fx.Node) -> bool:
        """What is no conversion and no list of tensors. Constants are no steps either."""
        return (
            node.op == "call_function"
            and node in self._depends
            and not _is_conversion(node)
            and not any(user.target is operator.getitem for user in node.users)
        )

    def _step(self, node: fx.Node) -> Step:
        inputs = dict.fromkeys(source.name for source in self._sources(node))
        return Step(node.name, str(node.target), module_path(node), tuple(inputs), (node.name,))

    def _sources(self, node: fx.Node) -> Iterator[fx.Node]:
        """The tensors that an operator reads, before their conversions."""
        for argument in node.all_input_nodes:
            source = _base(argument)
            if source not in self._depends:
                continue
            if source.op == "placeholder" or self._is_step(source):
                yield source
            else:
                yield from self._sources(source)

    def _needed(self, node: fx.Node, given: frozenset[str]) -> Iterator[fx.Node]:
        """What must run for a node's value, in order."""
        for argument in node.all_input_nodes:
            if argument.name not in given:
                yield from self._needed(argument, given)
        yield node

    def _value(self, node: fx.Node, held: dict[fx.Node, Any]) -> Any:
        if node.op == "get_attr":
            return attrgetter(str(node.target))(self._module)
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), held.__getitem__)
        target: Any = node.target
        return target(*args, **kwargs)


def _dependents(nodes: Sequence[fx.Node]) -> set[fx.Node]:
    """The nodes that depend on the network's inputs."""
    found: set[fx.Node] = set()
    for node in nodes:
        if node.op == "placeholder" or any(source in found for source in node.all_input_nodes):
            found.add(node)
    return found


def _is_conversion(node: fx.Node) -> bool:
    """Quantize and dequantize, and what computes a scale for them."""
    if node.target is operator.getitem:
        return _is_conversion(node.all_input_nodes[0])
    return node.op == "call_function" and str(node.target).startswith(CONVERSION)


def _base(node: fx.Node) -> fx.Node:
    """The tensor that a node is the conversion of; itself where it is of none."""
    while _is_conversion(node):
        node = node.all_input_nodes[0]
    return node


def _quantize_of(node: fx.Node) -> fx.Node | None:
    """Its conversion to integers with a fixed scale; with one for each run it belongs to what reads it."""
    return next((user for user in node.users if str(user.target) == f"{CONVERSION}quantize_per_tensor.default"), None)


def _rounded(node: fx.Node) -> fx.Node:
    """A tensor's conversion to integers and back; itself where it stays in float."""
    quantize = _quantize_of(node)
    return node if quantize is None else next((user for user in quantize.users if _is_conversion(user)), node)
