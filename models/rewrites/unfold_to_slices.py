"""Windows along axes, which may overlap  ->  slices, a concatenation, a reshape and one permute.

    x.unfold(2, s, t).unfold(3, s, t)    ->    (N, C, n s, m s) -> (N, C, n, s, m, s) -> (N, C, n, m, s, s)

where the n s rows are those of window 0, of window 1, ... An axis with fewer values in a window than windows is cut by
values instead: all first values of windows, all second values, ... Windows side by side are there already. Unfolds of
several axes that follow each other are taken together, so that one permute is left of them.

Converters gather the values of an unfold one by one. LiteRT's pads their indices in six dimensions, which it then refuses.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import fx

from .graph import Graph, shape, single_user, source
from .rewrite import Rewrite

aten = torch.ops.aten
UNFOLD = aten.unfold.default


@dataclass(frozen=True)
class Windows:
    """The windows along one axis: window i is [i step, i step + size)."""

    axis: int
    count: int
    size: int
    step: int

    @property
    def by_values(self) -> bool:
        """Whether slices take one value of every window, since these are fewer."""
        return self.step != self.size < self.count

    @property
    def slices(self) -> list[tuple[int, int, int]]:
        """Start, end and step of what is put side by side."""
        if self.step == self.size:
            return [(0, self.count * self.size, 1)]
        if self.by_values:
            return [(first, first + (self.count - 1) * self.step + 1, self.step) for first in range(self.size)]
        return [(index * self.step, index * self.step + self.size, 1) for index in range(self.count)]


@dataclass(frozen=True)
class Unfolds:
    """Unfolds of different axes of one value, and the last of their nodes."""

    windows: tuple[Windows, ...]
    last: fx.Node


class UnfoldToSlices(Rewrite):
    name = "unfold_to_slices"
    reason = "converters gather the values of an unfold one by one, and LiteRT's fails; its windows are slices"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target == UNFOLD and bool(shape(source(node)))

    def check(self, graph: Graph, node: fx.Node) -> Unfolds:
        rank, last = len(shape(source(node))), node
        found = [_windows(node)]
        while (user := single_user(last)) is not None and user.target == UNFOLD:
            more = _windows(user)
            if more.axis >= rank or more.axis in {one.axis for one in found}:  # windows of windows
                break
            found.append(more)
            last = user
        return Unfolds(tuple(found), last)

    def rewrite(self, graph: Graph, node: fx.Node, plan: Unfolds) -> None:
        x, last = source(node), plan.last
        by_axis = {windows.axis: windows for windows in plan.windows}
        sides: list[int] = []
        outer: list[int] = []  # where each axis of x is in `sides`: its windows, or all of it
        inner: dict[int, int] = {}  # where the values of a window are
        for axis, side in enumerate(shape(x)):
            windows = by_axis.get(axis)
            outer.append(len(sides))
            if windows is None:
                sides.append(side)
            elif windows.by_values:
                outer[-1], inner[axis] = len(sides) + 1, len(sides)
                sides += [windows.size, windows.count]
            else:
                inner[axis] = len(sides) + 1
                sides += [windows.count, windows.size]
        for windows in plan.windows:
            x = _side_by_side(graph, x, windows, before=last)
        x = graph.call(aten.reshape.default, x, sides, before=last)
        order = [*outer, *(inner[windows.axis] for windows in plan.windows)]
        if order != sorted(order):
            x = graph.call(aten.permute.default, x, order, before=last)
        graph.replace(last, x)


def _windows(node: fx.Node) -> Windows:
    """What an unfold cuts."""
    axis, size, step = (int(value) for value in node.args[1:4])  # type: ignore[arg-type]
    axis %= len(shape(source(node)))
    return Windows(axis, shape(node)[axis], size, step)


def _side_by_side(graph: Graph, x: fx.Node, windows: Windows, *, before: fx.Node) -> fx.Node:
    """The windows' values along their axis, one slice after the other."""
    whole, pieces = (0, shape(x)[windows.axis], 1), []
    for cut in windows.slices:
        first, end, step = cut
        pieces.append(
            x if cut == whole else graph.call(aten.slice.Tensor, x, windows.axis, first, end, step, before=before)
        )
    return pieces[0] if len(pieces) == 1 else graph.call(aten.cat.default, pieces, windows.axis, before=before)


REWRITE = UnfoldToSlices()
