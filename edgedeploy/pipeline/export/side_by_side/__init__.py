"""Targets side by side, each in a process of its own.

    export -starts-> worker -loads, prepares, rewrites, forks-> one process for each target, --jobs at a time

worker.py      the process that is started, and those that it forks
messages.py    what they tell the export
forking.py     how a process that torch has computed in is forked
resources.py   how many at a time

All of these processes are one process group, which the export kills when it ends for whatever reason; Linux kills them when
the export itself is killed.
"""

from __future__ import annotations

import contextlib
import glob
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgedeploy.core.artifact import Artifact, files_of_artifact
from edgedeploy.core.child_processes import child_environment, ended_by, module_command, search_path
from edgedeploy.core.errors import EdgedeployError, ExportFailed
from edgedeploy.core.reporter import Reporter
from edgedeploy.core.storage.files import private_folder, recover
from edgedeploy.core.storage.folders import remove_abandoned_private
from edgedeploy.pipeline.export.options import ExportOptions

from .forking import can_fork
from .messages import (
    Advanced,
    Failed,
    Message,
    NetworkLoaded,
    Noted,
    Request,
    StageBegan,
    StageEnded,
    TargetDone,
    Unexpected,
    receive,
)
from .resources import jobs_for

if TYPE_CHECKING:
    from edgedeploy.exporters.targets import Target

__all__ = ["can_fork", "export_side_by_side", "jobs_for"]

WORKER = "edgedeploy.pipeline.export.side_by_side.worker"
LOCKS_END_S = 1.0
LAST_LINES = 4  # of what a worker that crashed has printed


class WorkerFailed(Exception):
    """An exception in a worker that nobody expected; its traceback is a note of this one."""


class _Stopped(Exception):
    """Ends a stage of this reporter whose stage in the worker has failed."""


def export_side_by_side(
    model: str, targets: Sequence[Target], options: ExportOptions, jobs: int, reporter: Reporter
) -> tuple[list[Artifact], dict[str, EdgedeployError]]:
    """The artifacts in the order of the targets, and the errors of the targets that failed.

    Args:
        jobs: targets at a time at most; 0 where cores and memory decide.

    Raises the EdgedeployError of what all targets share, such as loading the network.
    """
    names = tuple(target.name for target in targets)
    search_last = tuple(entry for entry in map(os.path.abspath, sys.path) if entry not in search_path())
    with private_folder() as scratch:
        request = Request(model, names, options, jobs, scratch, search_last)
        worker = _Worker(request, scratch / "worker.log")
        with ended_by(worker.end):
            return _Results(names, reporter).of(worker)


class _Worker:
    """The worker's process group, from its start on."""

    def __init__(self, request: Request, log: Path) -> None:
        self._request, self._log = request, log
        self.network = ""
        self.connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, log.open("wb") as printed:
            self._process = subprocess.Popen(
                module_command(WORKER, str(theirs.fileno()), str(os.getpid())),
                stdin=subprocess.PIPE,
                stdout=printed,
                stderr=printed,
                env=child_environment() | {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE")},
                pass_fds=(theirs.fileno(),),
                process_group=0,  # so that all processes can be ended at once
            )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._process.stdin as stdin:
            stdin.write(request.to_bytes())

    def end(self) -> None:
        """Kills what still runs, and removes what that leaves."""
        with contextlib.suppress(ProcessLookupError):
            if self._process.returncode is None:  # else its number may be another's
                os.killpg(self._process.pid, signal.SIGKILL)
        self.connection.settimeout(5)
        with contextlib.suppress(OSError):
            while self.connection.recv(1):  # until the last process has ended
                pass
        self.connection.close()
        finished = self._process.poll() == 0
        self._process.wait()
        if not finished and self.network:
            self._tidy()

    def _tidy(self) -> None:
        """Removes what killed processes left. Their locks may end a moment after their last sign of life."""
        folder = Path(self._request.options.output) / self.network
        deadline = time.monotonic() + LOCKS_END_S
        while True:
            for target in self._request.targets:
                recover(folder / target, files_of_artifact)
            remove_abandoned_private()
            left = [path for target in self._request.targets for path in folder.glob(f".{glob.escape(target)}.*")]
            if not left or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        with contextlib.suppress(OSError):
            folder.rmdir()  # where nothing was there before

    def crashed(self) -> ExportFailed:
        """Why the worker ended before it said that it was done."""
        code = self._process.wait()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return ExportFailed(
            f"the process that exports {self._request.model} {how}",
            details=[line for line in lines if line.strip()][-LAST_LINES:],
            hint="--jobs 1 exports in this process",
        )


class _Results:
    """What the worker has told so far; the reporter is told at once."""

    def __init__(self, names: Sequence[str], reporter: Reporter) -> None:
        self._names, self._reporter = names, reporter
        self._stages: dict[tuple[int, int], contextlib.AbstractContextManager[None]] = {}
        self._folders: dict[str, str] = {}
        self._failures: dict[str, EdgedeployError] = {}

    def of(self, worker: _Worker) -> tuple[list[Artifact], dict[str, EdgedeployError]]:
        try:
            while (message := receive(worker.connection)) is not None:
                if isinstance(message, NetworkLoaded):
                    worker.network = message.name
                else:
                    self._take(message)
        finally:
            for stage in list(self._stages):
                self._end(stage, failed=True)
        if any(name not in self._folders and name not in self._failures for name in self._names):
            crashed = worker.crashed()
            if not self._folders and not self._failures:
                raise crashed
            self._failures |= {n: crashed for n in self._names if n not in self._folders and n not in self._failures}
        artifacts = [Artifact.load(Path(self._folders[name])) for name in self._names if name in self._folders]
        return artifacts, {name: self._failures[name] for name in self._names if name in self._failures}

    def _take(self, message: Message) -> None:
        reporter = self._reporter
        if isinstance(message, StageBegan):
            stage = reporter.stage(message.text)
            stage.__enter__()
            self._stages[message.process, message.stage] = stage
        elif isinstance(message, StageEnded):
            self._end((message.process, message.stage), failed=message.failed)
        elif isinstance(message, Advanced):
            reporter.advance(message.done, message.total)
        elif isinstance(message, Noted):
            (reporter.detail if message.detail else reporter.note)(message.text)
        elif isinstance(message, TargetDone):
            self._folders[message.target] = message.folder
            reporter.detail(f"{message.target}: peak memory {message.peak_rss_bytes / 2**20:.0f} MiB")
        elif isinstance(message, Failed):
            if not message.target:
                raise message.error()
            self._failures[message.target] = message.error()
            reporter.note(f"{message.target} failed: {message.message}")
        elif isinstance(message, Unexpected):
            error = WorkerFailed(message.text)
            error.add_note(message.trace)
            raise error

    def _end(self, key: tuple[int, int], *, failed: bool) -> None:
        stage = self._stages.pop(key, None)
        if stage is not None:
            error = _Stopped() if failed else None
            with contextlib.suppress(_Stopped):
                stage.__exit__(type(error) if error else None, error, None)
