"""What long work tells while it runs. The pipeline talks to a Reporter; the command line's one draws."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Protocol


class Reporter(Protocol):
    """Receives what happens. All methods return at once."""

    def stage(self, text: str) -> contextlib.AbstractContextManager[None]:
        """A piece of work that may take seconds."""

    def advance(self, done: int, total: int) -> None:
        """How far the current stage is, where it can be counted."""

    def note(self, text: str) -> None:
        """Something that the reader should know and need not act on."""

    def detail(self, text: str) -> None:
        """Shown with -v."""


class Silent:
    """Tells nothing; what the Python API uses unless it is given another."""

    @contextlib.contextmanager
    def stage(self, text: str) -> Iterator[None]:
        yield

    def advance(self, done: int, total: int) -> None:
        return None

    def note(self, text: str) -> None:
        return None

    def detail(self, text: str) -> None:
        return None


class Drawn:
    """A spinner and a line for each finished stage, on stderr.

    Converters print through file descriptor 2, which is sent to a log while they run, so this draws on a copy of it.
    """

    def __init__(self, *, verbose: bool, quiet: bool = False) -> None:
        from rich.console import Console

        self.console = Console(file=os.fdopen(os.dup(2), "w"), soft_wrap=True, highlight=False, quiet=quiet)
        self.verbose = verbose
        self._progress: object = None

    @contextlib.contextmanager
    def stage(self, text: str) -> Iterator[None]:
        import time

        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        start = time.perf_counter()
        bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
        )
        if self.console.is_terminal:
            with bar:
                bar.add_task(text, total=None)
                self._progress = bar
                yield
        else:
            yield
        self._progress = None
        self.console.print(f"  {text}  [dim]{time.perf_counter() - start:.1f} s[/dim]")

    def advance(self, done: int, total: int) -> None:
        from rich.progress import Progress

        if isinstance(self._progress, Progress):
            self._progress.update(self._progress.task_ids[0], completed=done, total=total)

    def note(self, text: str) -> None:
        self.console.print(f"[yellow]note:[/yellow] {text}")

    def detail(self, text: str) -> None:
        if self.verbose:
            self.console.print(f"    [dim]{text}[/dim]", markup=True)
