"""Which revision of the code was measured: a result file with the state of the git repository that `bench` ran in.

It is a record beside core/measurement.py and not in it, whose code is part of the key of every measured study.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from edgedeploy.core.measurement import Measurement, ResultFile

from .paired import PairedComparison

DIRTY = "-dirty"  # as `git describe --dirty` marks it


@dataclass(frozen=True)
class Source:
    """The git repository of the folder in which a bench was started.

    Attributes:
        revision: the full name of its commit.
        dirty: tracked files differed from it.
    """

    revision: str
    dirty: bool = False

    def __str__(self) -> str:
        return self.revision + (DIRTY if self.dirty else "")


@dataclass(frozen=True)
class SourcedResults(ResultFile):
    """A result file as `bench` writes it.

    Attributes:
        source: None without git or a repository, in a replay, and in files of before it was recorded.
    """

    source: Source | None = None

    @classmethod
    def made(cls, rows: Sequence[Measurement], pairs: Sequence[PairedComparison], source: Source | None) -> Self:
        """The file of these measurements, written by this edgedeploy."""
        return cls(tuple(rows), pairs=tuple(pairs), source=source)


def short_revision(revision: str) -> str:
    """A revision as tables show it, with the mark of a dirty tree; "" stays ""."""
    return revision.removesuffix(DIRTY)[:12] + (DIRTY if revision.endswith(DIRTY) else "")
