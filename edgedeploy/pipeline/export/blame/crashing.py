"""Which operator a converter crashes at: the network is cut shorter, and each part is lowered in a process of its own."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from edgedeploy.core.errors import EdgedeployError
from edgedeploy.pipeline.export import stages

from .failing_operator import SEARCH_S, described, search

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import fx

    from edgedeploy.exporters.targets import Target
    from edgedeploy.models.rewrites import RewrittenModule


def first_crashing(
    prepared: stages.PreparedNetwork,
    rewritten: RewrittenModule,
    target: Target,
    options: stages.LowerOptions,
    fork: Callable[[Callable[[], None]], int],
) -> list[str]:
    """The first operator with which lowering ends the process, its module and line; empty where none does, or time is up.

    Args:
        fork: begins a process that does some work and ends; returns its number.
    """
    shorter = replace(prepared, network=replace(prepared.network, output_names=("output",)))

    def survives(module: fx.GraphModule) -> bool:
        def lower() -> None:
            with contextlib.suppress(EdgedeployError):  # a part may not convert, which is another matter
                stages.lower(shorter, replace(rewritten, module=module), target, replace(options, int8_io=False))

        _, status = os.waitpid(fork(lower), 0)
        return status == 0

    node = search(rewritten.module, survives, deadline=time.monotonic() + SEARCH_S)
    return [] if node is None else described(node)
