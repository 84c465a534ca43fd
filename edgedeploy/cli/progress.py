"""Progress on the terminal."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgedeploy.core.errors import visible

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class RichReporter:
    """A spinner and a line for each finished stage, on stderr.

    Converters print through file descriptor 2, which is sent to a log while they run, so this draws on a copy of it.
    """

    def __init__(self, *, verbose: bool = False) -> None:
        from rich.console import Console

        file = os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding or "utf-8", errors="replace")
        self.console = Console(file=file, soft_wrap=True, highlight=False, emoji=False)
        self.verbose = verbose
        self._progress: Progress | None = None
        self._tasks: list[TaskID] = []  # of the stages that run now, which may be several

    @contextlib.contextmanager
    def stage(self, text: str) -> Iterator[None]:
        """Draws a spinner while the block runs, then prints a line with its duration."""
        start = time.perf_counter()
        with self._drawn(text) if self.console.is_terminal else contextlib.nullcontext():
            yield
        self.console.print(f"  {_shown(text)}  [dim]{time.perf_counter() - start:.1f} s[/dim]")

    @contextlib.contextmanager
    def _drawn(self, text: str) -> Iterator[None]:
        """A line with a spinner below those of the other stages that run now."""
        if self._progress is None:
            self._progress = self._bar()
            self._progress.start()
        progress = self._progress
        task = progress.add_task(_shown(text), total=None)
        self._tasks.append(task)
        try:
            yield
        finally:
            progress.remove_task(task)
            self._tasks.remove(task)
            if not self._tasks:
                self._progress = None
                progress.stop()

    def _bar(self) -> Progress:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        return Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
        )

    def advance(self, done: int, total: int) -> None:
        """Fills the bar of the stage that began last."""
        if self._progress is not None:
            self._progress.update(self._tasks[-1], completed=done, total=total)

    def note(self, text: str) -> None:
        """Prints a line that begins with "note:"."""
        self.console.print(f"[yellow]note:[/yellow] {_shown(text)}")

    def detail(self, text: str) -> None:
        """Prints a dimmed line, with `--verbose` only."""
        if self.verbose:
            self.console.print(f"    [dim]{_shown(text)}[/dim]")


def _shown(text: str) -> str:
    """The text as it is: neither markup nor control characters in it do anything."""
    from rich.markup import escape

    return escape(visible(text))
