"""Which operator a runtime refuses a file for, where its message does not say: the network is cut shorter until it runs."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from edgedeploy.core.errors import EdgedeployError

from . import stages
from .failing_operator import SEARCH_S, described, search

if TYPE_CHECKING:
    from torch import fx

    from edgedeploy.exporters.targets import Target
    from edgedeploy.models.rewrites import RewrittenModule


def first_refused(
    prepared: stages.PreparedNetwork,
    rewritten: RewrittenModule,
    target: Target,
    options: stages.LowerOptions,
    *,
    search_s: float = SEARCH_S,
) -> list[str]:
    """The first operator with which the file no longer runs, its module and line; empty where all run, or time is up.

    Args:
        search_s: no file is made later than this.
    """
    folder = options.shared.scratch / "shorter"
    folder.mkdir(exist_ok=True)
    shorter = replace(prepared, network=replace(prepared.network, output_names=("output",)))

    def runs(module: fx.GraphModule) -> bool:
        try:
            lowered = stages.lower(
                shorter, replace(rewritten, module=module), target, replace(options, folder=folder, int8_io=False)
            )
            stages.run(shorter, target, lowered)
        except EdgedeployError:
            return False
        return True

    node = search(rewritten.module, runs, deadline=time.monotonic() + search_s)
    return [] if node is None else described(node)
