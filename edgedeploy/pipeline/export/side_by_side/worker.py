"""The process that exports targets side by side: it does once what they share, then forks a process for each.

Started by `export` as a child of its own (see core/child_processes.py), so that a fork never copies the threads and locks
of the user's program. It loads and prepares the network and rewrites it; a forked process lowers, verifies and writes.
Forked processes share this one's memory until they write to it. Targets whose rewritten network is the same one and whose
backend is the same go to one process: there the float conversion is made once.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edgedeploy.core.artifact import Artifact
from edgedeploy.core.errors import EdgedeployError, ExportFailed
from edgedeploy.pipeline.export import stages
from edgedeploy.pipeline.export.run import Run, prepare

from .forking import end_with_parent, fork
from .messages import (
    Advanced,
    Failed,
    NetworkLoaded,
    Noted,
    Request,
    StageBegan,
    StageEnded,
    TargetDone,
    Unexpected,
    send,
)
from .resources import cores, free_memory_bytes, jobs_for

if TYPE_CHECKING:
    from torch import nn

    from edgedeploy.exporters.job import SharedWork
    from edgedeploy.exporters.targets import Target


CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
MADE = ".made"  # a file with the folder of an artifact


class SendingReporter:
    """Sends the progress to the export."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._count = connection, 0

    @contextlib.contextmanager
    def stage(self, text: str) -> Iterator[None]:
        self._count += 1
        process, number, failed = os.getpid(), self._count, True
        send(self._connection, StageBegan(process, number, text))
        try:
            yield
            failed = False
        finally:
            send(self._connection, StageEnded(process, number, failed))

    def advance(self, done: int, total: int) -> None:
        send(self._connection, Advanced(done, total))

    def note(self, text: str) -> None:
        send(self._connection, Noted(text))

    def detail(self, text: str) -> None:
        send(self._connection, Noted(text, detail=True))


class Worker:
    """Makes the targets of one request."""

    def __init__(self, request: Request, connection: socket.socket) -> None:
        self._request, self._connection = request, connection
        self._reporter = SendingReporter(connection)
        self._running: dict[int, tuple[Target, ...]] = {}
        self._crashed: list[tuple[Target, int]] = []

    def export(self) -> None:
        """Sends what becomes of each target. Raises EdgedeployError where nothing could be begun."""
        request, options = self._request, self._request.options
        targets = options.targets(request.targets)
        network = stages.load(request.model, options, self._reporter)
        send(self._connection, NetworkLoaded(network.name))
        prepared = prepare(network, targets, options, self._reporter)
        run = Run(prepared, options, self._shared(request.scratch / "shared"), self._reporter)
        jobs = request.jobs or self._chosen_jobs(len(targets), _weights_bytes(prepared.network.module))
        for group in self._groups(run, sorted(targets, key=_duration, reverse=True)):
            while len(self._running) >= jobs:
                self._wait()
            self._start(run, group)
        while self._running:
            self._wait()
        for target, code in self._crashed:
            self._running[fork(partial(self._explain, run, target, code))] = ()
            self._wait()
        artifacts = [Artifact.load(Path(mark.read_text())) for mark in sorted(request.scratch.glob(f"*{MADE}"))]
        if len(artifacts) > 1:
            self._running[fork(lambda: run.report_gaps(artifacts, targets))] = ()
            self._wait()

    def _chosen_jobs(self, targets: int, weights_bytes: int) -> int:
        jobs, free = jobs_for(targets, weights_bytes), free_memory_bytes()
        memory = "" if free is None else f", {free / 2**30:.1f} GiB of memory free"
        if jobs > 1:
            self._reporter.note(f"{jobs} targets at a time ({cores()} cores{memory}); --jobs N sets it")
        return jobs

    def _groups(self, run: Run, targets: Sequence[Target]) -> Iterator[tuple[Target, ...]]:
        """Targets that share a conversion, the longest first; the rest is rewritten while the first ones are lowered."""
        left = list(targets)
        while left:
            first = left.pop(0)
            try:
                network = run.rewrite(first).module
            except EdgedeployError as error:
                send(self._connection, Failed.of(first.name, error))
                continue
            group = [first]
            for target in [other for other in left if other.backend == first.backend and first.backend.converts_once]:
                with contextlib.suppress(EdgedeployError):  # it comes again, as the first of its group
                    if run.rewrite(target).module is network:
                        group.append(target)
                        left.remove(target)
            yield tuple(group)

    def _start(self, run: Run, group: tuple[Target, ...]) -> None:
        folder = self._request.scratch / group[0].name
        gc.freeze()  # a collection in the child would write to every object, and so copy all memory

        def work() -> None:
            from edgedeploy.benchmarks.executors.python_worker import peak_rss_bytes

            in_child = run.with_shared(self._shared(folder))
            for target in group:
                with self._failures_sent(target.name):
                    made = in_child.make(target)
                    (self._request.scratch / f"{target.name}{MADE}").write_text(str(made.folder))
                    send(self._connection, TargetDone(target.name, str(made.folder), peak_rss_bytes()))

        self._running[fork(work)] = group

    def _shared(self, folder: Path) -> SharedWork:
        from edgedeploy.exporters.job import SharedWork

        folder.mkdir(mode=0o700)
        return SharedWork(folder, folder / "converters.log")

    def _wait(self) -> None:
        """Until a forked process has ended."""
        process, status = os.wait()
        group = self._running.pop(process, ())
        if group and status != 0:
            code = os.waitstatus_to_exitcode(status)
            group = tuple(one for one in group if not (self._request.scratch / f"{one.name}{MADE}").exists())
            if code < 0 and signal.Signals(-code) in CRASHES:
                self._crashed += [(target, code) for target in group]
                return
            for target in group:
                send(self._connection, Failed.of(target.name, _ended(target, code)))

    def _explain(self, run: Run, target: Target, code: int) -> None:
        """Sends which operator a converter crashed at."""
        where: list[str] = []
        with contextlib.suppress(Exception):  # the crash must be told, whatever comes of the search
            searching = run.with_shared(self._shared(self._request.scratch / f"{target.name}.crash"))
            where = searching.where_it_crashes(target, fork)
        send(self._connection, Failed.of(target.name, _ended(target, code, where)))

    @contextlib.contextmanager
    def _failures_sent(self, target: str) -> Iterator[None]:
        try:
            yield
        except EdgedeployError as error:
            send(self._connection, Failed.of(target, error))
        except Exception as error:
            trace = "".join(traceback.format_exception(error))
            send(self._connection, Unexpected(f"{type(error).__name__}: {error}"[:2000], trace[-20000:]))

    def run(self) -> None:
        """As `export`; nothing is raised."""
        with self._failures_sent(""):
            self.export()


def _ended(target: Target, code: int, where: Sequence[str] = ()) -> ExportFailed:
    """That the process of a target ended, and how.

    Args:
        where: the operator that it ended at.
    """
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    crashed = code < 0 and signal.Signals(-code) in CRASHES
    hint = (
        "the converter crashes: write the operator in another way, or another target (`edgedeploy targets`)"
        if crashed
        else "the machine may be out of memory: --jobs 1 makes one target at a time"
    )
    return ExportFailed(f"the process that exports {target.name} {how}", details=where, hint=hint)


def _duration(target: Target) -> int:
    """How long a target takes, compared with others: what takes longest starts first."""
    return target.backend.lowering_time * (2 if target.recipe.needs_calibration else 1)


def _weights_bytes(module: nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in (*module.parameters(), *module.buffers()))


def main() -> None:
    """Answers the request on stdin through the socket with the number that is the only argument."""
    number, parent = int(sys.argv[1]), int(sys.argv[2])
    end_with_parent(parent)
    os.set_inheritable(number, False)
    connection = socket.socket(fileno=number)
    request = Request.from_bytes(sys.stdin.buffer.read())
    sys.path += [folder for folder in request.search_last if folder not in sys.path]
    warnings.simplefilter("ignore")  # of the converters and torch, about themselves
    Worker(request, connection).run()
    connection.close()
    sys.stdout.flush()
    os._exit(0)  # converters' threads crash when a process unwinds around them


if __name__ == "__main__":
    main()
