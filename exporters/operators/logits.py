"""The values that a softmax turns into weights."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any

from edgedeploy.core.recipe import operator_kind
from edgedeploy.exporters.regions import Operator
from edgedeploy.exporters.regions.operator import producers_of, readers_of

VIEWS = ("Reshape", "RESHAPE")


def logits_of(
    operators: Sequence[Operator], last_sizes: Mapping[Any, int], over_other_axes: Collection[Hashable] = ()
) -> set[Hashable]:
    """What one softmax over the last axis reads and nothing else, maybe through views that keep that axis.

    Args:
        operators: of the whole graph.
        last_sizes: the size of the last axis of each value that is no output of the network.
        over_other_axes: keys of the softmaxes over another axis.
    """
    producers, readers = producers_of(operators), readers_of(operators)
    found: set[Hashable] = set()
    for softmax in operators:
        if operator_kind(softmax.type) != "softmax" or softmax.key in over_other_axes:
            continue
        value = softmax.inputs[0]
        size = last_sizes.get(value)
        while size and last_sizes.get(value) == size and len(readers[value]) == 1:
            found.add(value)
            writer = producers.get(value)
            if writer is None or writer.type not in VIEWS:
                break
            value = writer.inputs[0]
    return found
