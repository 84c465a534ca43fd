"""Progress on the terminal."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


class RichReporter:
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
