"""Which module of the original network an operator came from."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from typing import TYPE_CHECKING

from edgedeploy.exporters.regions import Operator

if TYPE_CHECKING:
    from torch import fx


def module_path(node: fx.Node) -> str:
    """The path of the innermost module that a node was traced in, such as "backbone.tpm.stem.0.bn".

    "" at the top level and for nodes without an `nn_module_stack`. torch.export records the stack and its passes keep it;
    an operator that a rewrite or a decomposition made has the path of one that it stands for.
    """
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return str(stack[-1][0]) if stack else ""


def completed(operators: Sequence[Operator], paths: Sequence[str | None], conversions: Collection[str]) -> list[str]:
    """Paths of all operators, from those that are known; a path of None is unknown, "" is the top level.

    An operator that converts between float and integer has the path of the operator whose result it converts. Another one,
    and the conversion of a weight or of the network's input, has the path of the operators that read its result, where
    these agree; at the network's output, that of the operator whose result it reads. Else the path is "".

    Args:
        operators: the graph, in an order in which it can run.
        conversions: operator types such as "QuantizeLinear".
    """
    found = list(paths)
    producer = {value: index for index, op in enumerate(operators) for value in op.outputs}
    consumers: dict[Hashable, list[int]] = {}
    for index, op in enumerate(operators):
        for value in op.inputs:
            consumers.setdefault(value, []).append(index)
    for index, op in enumerate(operators):
        source = producer.get(op.inputs[0]) if op.type in conversions and op.inputs else None
        if found[index] is None and source is not None:
            found[index] = found[source]
    readers = [{reader for value in op.outputs for reader in consumers.get(value, [])} for op in operators]
    for index in reversed(range(len(operators))):
        if found[index] is None:
            of_readers = {found[reader] for reader in readers[index]}
            found[index] = of_readers.pop() if len(of_readers) == 1 else None
    for index, op in enumerate(operators):
        at_output = all(found[reader] is None for reader in readers[index])
        source = producer.get(op.inputs[0]) if at_output and op.inputs else None
        if found[index] is None and source is not None:
            found[index] = found[source]
    return [path or "" for path in found]
