"""Where a runtime that runs a delegate as a whole parts from the float network: ExecuTorch.

The network is lowered a second time with every tensor as an output, and these are compared with the float network's. This
is another file than the one that failed: what the runtime fuses in that one it may not fuse in this one. Errors are total
ones; an operator's own is estimated from those of its inputs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgedeploy.core.parity import Array

from .analysis import FLOAT_LIMIT, NOISE_FLOOR_DB, OUTLIER_DB
from .reference import INPUT, Reference

if TYPE_CHECKING:
    from torch import fx

VIEWS = re.compile(
    r"\.(?:_?(?:reshape|view|unsafe_view)|transpose|permute|squeeze|unsqueeze|flatten|unflatten|contiguous|"
    r"dropout|select|slice|alias|clone|expand)\b"
)


def with_every_tensor(module: fx.GraphModule, reference: Reference) -> tuple[fx.GraphModule, list[int]]:
    """The network with what its operators compute as outputs, flat, and their positions in the reference.

    Views are left out: they add no error. So is what an operator changes in place: outputs are read at the end. ExecuTorch
    refuses some networks that return many images.
    """
    import torch
    from torch import fx

    position = {fact.name: index for index, fact in enumerate(reference.facts) if fact.type != INPUT}
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    graph.graph_copy(module.graph, copies)
    found = [
        (node, position[node.name])
        for node in module.graph.nodes
        if node.name in position
        and not VIEWS.search(str(node.target))
        and not any(_changes(user, node) for user in node.users)
        and np.issubdtype(reference.values[position[node.name]].dtype, np.floating)
    ]
    flat = [graph.call_function(torch.ops.aten.reshape.default, (copies[node], [-1])) for node, _ in found]
    graph.output(tuple(flat))
    return fx.GraphModule(module, graph).eval(), [index for _, index in found]


def _changes(user: fx.Node, node: fx.Node) -> bool:
    """Whether an operator writes to an operand of it, as hardswish_ does."""
    schema = getattr(user.target, "_schema", None)
    written = [] if schema is None else [index for index, one in enumerate(schema.arguments) if one.is_write]
    return any(index < len(user.args) and user.args[index] is node for index in written)


def first_in_taps(reference: Reference, positions: Sequence[int], outputs: Sequence[Array], *, quantized: bool) -> str:
    """The first operator with a far larger error than all of its inputs, in a line.

    Where none has: in int8 the operator that adds most noise, else "".
    """
    ratios: dict[int, float] = {}
    larger: dict[int, float] = {}  # of operators with a far larger error than all of their inputs, in σ
    found = dict(zip(positions, outputs, strict=True))
    for index, fact in enumerate(reference.facts):
        before = max((ratios.get(source, 0.0) for source in fact.sources), default=0.0)
        if index not in found:
            ratios[index] = before
            continue
        expected, actual = (array.astype(np.float64).ravel() for array in (reference.values[index], found[index]))
        error = actual - expected
        ratios[index] = float(np.mean(error**2)) / max(float(np.mean(expected**2)), 1e-300)
        largest = float(np.max(np.abs(error), initial=0.0)) / (float(expected.std()) or 1.0)
        is_large = _db(ratios[index]) < NOISE_FLOOR_DB if quantized else not largest <= FLOAT_LIMIT
        if is_large and not ratios[index] <= before * 10 ** (OUTLIER_DB / 10):
            larger[index] = largest
    vanished = _vanished(reference, ratios, found) if quantized else set()
    for index, largest in larger.items():
        if index not in vanished:
            fact = reference.facts[index]
            return (
                "in a second file, with every tensor as an output, they part at "
                f"{fact.type} at {fact.module or fact.name}: "
                f"SQNR {_db(ratios[index]):.1f} dB, largest error {largest:.2g} σ"
            )
    added = {
        index: ratios[index] - sum(ratios[source] for source in set(reference.facts[index].sources))
        for index in found
        if index not in vanished
    }
    most = max(added, key=lambda index: added[index], default=None)
    if not quantized or most is None or added[most] <= 0:
        return ""
    fact = reference.facts[most]
    return (
        "in a second file, with every tensor as an output, no operator stands out; most noise is added by "
        f"{fact.type} at {fact.module or fact.name}: SQNR {_db(ratios[most]):.1f} dB"
    )


def _vanished(reference: Reference, ratios: Mapping[int, float], found: Container[int]) -> set[int]:
    """The tensors with a large error that nothing which reads them has: those of a branch which hardly adds anything."""
    readers: dict[int, list[int]] = {}
    for reader, fact in enumerate(reference.facts):
        for source in fact.sources:
            readers.setdefault(source, []).append(reader)
    small: set[int] = set()
    vanished: set[int] = set()
    for index in reversed(range(len(reference.facts))):
        read = readers.get(index, [])
        if index in found and _db(ratios[index]) >= NOISE_FLOOR_DB:
            small.add(index)
        elif read and math.isfinite(ratios[index]) and all(reader in small or reader in vanished for reader in read):
            vanished.add(index)
    return vanished


def _db(ratio: float) -> float:
    return math.inf if ratio == 0.0 else -10 * math.log10(ratio) if math.isfinite(ratio) else -math.inf
