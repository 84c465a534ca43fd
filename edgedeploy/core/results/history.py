"""The course of a row over time."""

from __future__ import annotations

from dataclasses import dataclass

from .comparison import RowKey


@dataclass(frozen=True)
class HistoryPoint:
    """One measurement: its median in ns, or its number of instructions. `trustworthy` is None where it is not known."""

    revision: str
    started_at: str
    value: float
    trustworthy: bool | None


@dataclass(frozen=True)
class LevelChange:
    """Where the level of a row changed.

    Attributes:
        index: of the first point of the new level.
        change: relative.
        p_value: how probable such a change is in a series without one.
        context: what changed in the device and the conditions at the same time.
    """

    index: int
    revision: str
    change: float
    p_value: float
    context: tuple[str, ...] = ()


@dataclass(frozen=True)
class Series:
    """A row on a device over time.

    Attributes:
        device: its name, with the end of its file's name behind it where several devices have one name.
        points: in the order of their measuring. Those that are not trustworthy are shown and do not count.
        changes: its change points, in order.
        total_change: relative, of the last level to the first; 0 without change points.
    """

    key: RowKey
    device: str
    points: tuple[HistoryPoint, ...]
    changes: tuple[LevelChange, ...] = ()
    total_change: float = 0.0
