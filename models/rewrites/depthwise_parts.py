"""Ways to take the taps of a depthwise kernel in parts of at most 25, and what XNNPACK computes for each.

    in a row     rows 0 to n, n to 2n, ...: each part reads other rows than the whole
    by rows      rows around the centre, then the pairs at +-k as a kernel of two rows with dilation 2k
    by parity    even and odd rows by even and odd columns, each with dilation 2

The parts of the last two lie symmetrically around the kernel's centre, so that each keeps the size as the whole does.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST_TAPS = 25  # of XNNPACK's depthwise kernels
KERNELS = (9, MOST_TAPS)  # taps of those it has for more than 4; one computes all of its taps


@dataclass(frozen=True)
class Steps:
    """Positions along one side of a kernel: the first, how many, and their distance."""

    first: int
    count: int
    distance: int = 1

    @property
    def same_padding(self) -> int:
        """With which a kernel of these positions keeps the size, if they lie around the centre."""
        return (self.count - 1) * self.distance // 2

    def as_slice(self) -> slice:
        """The positions."""
        return slice(self.first, self.first + (self.count - 1) * self.distance + 1, self.distance)


@dataclass(frozen=True)
class Part:
    """The taps of some rows and columns."""

    rows: Steps
    columns: Steps

    @property
    def computed_taps(self) -> int:
        """Those of the kernel that runs it."""
        return next(taps for taps in KERNELS if self.rows.count * self.columns.count <= taps)


def parts_in_a_row(height: int, width: int) -> tuple[Part, ...]:
    """As many rows as fit, again and again; nothing where one row is too many taps."""
    most = MOST_TAPS // width
    return tuple(
        Part(Steps(first, min(most, height - first)), Steps(0, width))
        for first in range(0, height if most else 0, most or 1)
    )


def symmetric_parts(height: int, width: int) -> tuple[Part, ...]:
    """The cheaper of the two ways that keep the size; nothing for even sides, and where each way has too many taps."""
    if height % 2 == 0 or width % 2 == 0:
        return ()
    choices = [parts for parts in (_by_rows(height, width), _by_parity(height, width)) if parts]
    return min(choices, key=lambda parts: sum(part.computed_taps for part in parts), default=())


def _by_rows(height: int, width: int) -> tuple[Part, ...]:
    most, centre = MOST_TAPS // width, height // 2
    if most < 2:
        return ()
    reach = min((most - 1) // 2, centre)
    rows = [Steps(centre - reach, 2 * reach + 1), *(Steps(centre - k, 2, 2 * k) for k in range(reach + 1, centre + 1))]
    return tuple(Part(steps, Steps(0, width)) for steps in rows)


def _by_parity(height: int, width: int) -> tuple[Part, ...]:
    if min(height, width) < 3:
        return ()
    # even and odd distances from the centre, whichever of them is at position 0
    rows, columns = ([Steps(first, (side - first + 1) // 2, 2) for first in (0, 1)] for side in (height, width))
    if rows[0].count * columns[0].count > MOST_TAPS:
        return ()
    return tuple(Part(r, c) for r in rows for c in columns)
