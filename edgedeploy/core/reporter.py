"""The progress of long work: the pipeline reports to a Reporter, and the command line's one prints."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol


class Reporter(Protocol):
    """Receives progress. All methods return at once."""

    def stage(self, text: str) -> contextlib.AbstractContextManager[None]:
        """Wraps a piece of work that may take seconds."""

    def advance(self, done: int, total: int) -> None:
        """Reports how far the current stage is, where that can be counted."""

    def note(self, text: str) -> None:
        """Reports something that the reader should know and need not act on."""

    def detail(self, text: str) -> None:
        """Reports something that is shown with `-v` only."""


class NullReporter:
    """Reports nothing; the default of the Python API."""

    @contextlib.contextmanager
    def stage(self, text: str) -> Iterator[None]:
        yield

    def advance(self, done: int, total: int) -> None:
        return None

    def note(self, text: str) -> None:
        return None

    def detail(self, text: str) -> None:
        return None
