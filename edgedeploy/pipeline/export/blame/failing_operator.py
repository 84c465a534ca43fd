"""Which operator a converter fails at, where its message does not say: the network is cut shorter until it converts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from edgedeploy.core.recipes import FP32

if TYPE_CHECKING:
    from torch import fx

    from edgedeploy.exporters.job import Exporter, ExportJob

SEARCH_S = 60.0


def first_failing(job: ExportJob, exporter: Exporter, *, search_s: float = SEARCH_S) -> fx.Node | None:
    """The first operator with which the network no longer converts in float; None where it converts, or time is up.

    Args:
        job: the one that failed.
        search_s: no conversion starts later than this.
    """
    from edgedeploy.core.storage.files import private_folder
    from edgedeploy.exporters.job import SharedWork

    with private_folder() as scratch:

        def converts(module: fx.GraphModule) -> bool:
            shorter = replace(
                job,
                module=module,
                output_names=("output",),
                recipe=FP32,
                calibration=(),
                path=scratch / job.path.name,
                shared=SharedWork(scratch, job.shared.log),
                integer_io=False,
            )
            try:
                exporter(shorter)
            except Exception:  # a converter may raise anything
                return False
            return True

        return search(job.module, converts, deadline=time.monotonic() + search_s)


def search(module: fx.GraphModule, converts: Callable[[fx.GraphModule], bool], *, deadline: float) -> fx.Node | None:
    """The first operator of a captured network whose prefix does not convert, by halving.

    Args:
        converts: whether a network that ends with an earlier operator converts.
        deadline: in seconds of the monotonic clock.
    """
    import torch

    calls = [n for n in module.graph.nodes if n.op == "call_function" and isinstance(n.meta.get("val"), torch.Tensor)]
    fine: set[fx.Node] = set()

    def works(node: fx.Node) -> bool:
        done = converts(prefix(module, node))
        if done:
            fine.update(_ancestors(node))
        return done

    found: fx.Node | None = None
    while (last := _first_bad(calls, works, deadline)) is not None:
        found, before = last, _ancestors(last)
        calls = [node for node in calls if node in before and node not in fine]
        if calls == [found]:  # else halving has passed over branches that lead to it
            return found
    return found


def _first_bad(calls: Sequence[fx.Node], works: Callable[[fx.Node], bool], deadline: float) -> fx.Node | None:
    """The first that does not work, where what follows such a one does not either; None as for `search`."""
    good, bad = -1, len(calls)  # a prefix of `good` + 1 operators converts, one of `bad` + 1 does not
    while bad - good > 1:
        if time.monotonic() > deadline:
            return None
        middle = (good + bad) // 2
        if works(calls[middle]):
            good = middle
        else:
            bad = middle
    return calls[bad] if bad < len(calls) else None


def _ancestors(node: fx.Node) -> set[fx.Node]:
    """The nodes that a node's value is computed from, and itself."""
    found, todo = {node}, [node]
    while todo:
        new = [source for source in todo.pop().all_input_nodes if source not in found]
        found.update(new)
        todo += new
    return found


def prefix(module: fx.GraphModule, last: fx.Node) -> fx.GraphModule:
    """The network up to an operator, whose value it returns."""
    from edgedeploy.models.rewrites.graph import Graph

    shorter = Graph(module)
    output = next(iter(reversed(shorter.graph.nodes)))
    output.args = (next(node for node in shorter.graph.nodes if node.name == last.name),)
    shorter.graph.set_codegen(type(shorter.graph)()._codegen)  # the captured one names the network's own outputs
    shorter.graph.eliminate_dead_code()
    return shorter.finish()


def described(node: fx.Node) -> list[str]:
    """The operator, its module and the user's line, for an error's details."""
    from edgedeploy.models.rewrites.graph import module_path, operator_name

    shapes = ", ".join("x".join(map(str, n.meta["val"].shape)) for n in node.all_input_nodes if "val" in n.meta)
    return [
        f"operator: {operator_name(node)} of {shapes}" if shapes else f"operator: {operator_name(node)}",
        f"module: {module_path(node) or 'the top level'}",
        *user_line(node),
    ]


def user_line(node: fx.Node) -> list[str]:
    """The user's line that a node came from, for an error's details; empty where it is not known."""
    from edgedeploy.models.loading.user_code import user_line_in

    line = user_line_in(node.meta.get("stack_trace") or "")
    return [f"line: {line}"] if line else []
