"""The values that a softmax turns into weights."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from edgedeploy.core.recipe import operator_kind
from edgedeploy.exporters.regions import Operator
from edgedeploy.exporters.regions.operator import producers_of, readers_of

VIEWS = ("Reshape", "RESHAPE")


def logits_of(operators: Sequence[Operator], last_sizes: Mapping[Any, int]) -> set[Hashable]:
    """What only softmaxes read, maybe through views that keep the last axis.

    Args:
        operators: softmaxes among them are taken over the last axis.
        last_sizes: the size of the last axis of each value.
    """
    producers, readers = producers_of(operators), readers_of(operators)
    found: set[Hashable] = set()
    for softmax in [op for op in operators if operator_kind(op.type) == "softmax"]:
        value = softmax.inputs[0]
        size = last_sizes.get(value)
        while size and last_sizes.get(value) == size and len(readers[value]) == 1:
            found.add(value)
            writer = producers.get(value)
            if writer is None or writer.type not in VIEWS:
                break
            value = writer.inputs[0]
    return found
