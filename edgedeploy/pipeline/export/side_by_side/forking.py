"""Forks of a process that torch has computed in.

A fork has only the thread that called it. A pool of OpenMP threads would be missing in the child, which then waits for it
for ever; so the pools are given back before (`omp_pause_resource_all`, OpenMP 5.0), and each process makes its own when it
needs one. The child has the same number of threads as its parent and computes the same bits.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from edgedeploy.core.storage.folders import forget_held

OPENMP = ("libgomp", "libomp", "libiomp")
PAUSE_HARD = 2  # omp_pause_hard
PR_SET_PDEATHSIG = 1


def can_fork() -> bool:
    """Whether targets can be made side by side on this system."""
    return sys.platform == "linux" and hasattr(socket, "SOCK_SEQPACKET")


def end_with_parent(parent: int) -> None:
    """Asks Linux to kill this process when its parent ends, however that happens; ends now if it has ended already."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def fork(work: Callable[[], None]) -> int:
    """The process id of a child that does `work` and ends; nothing of the parent unwinds in it."""
    _release_threads()
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        end_with_parent(parent)
        forget_held()
        work()
        code = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _release_threads() -> None:
    """Ends the idle threads of every OpenMP library in this process; they come back with the next parallel region."""
    for path in _openmp_libraries():
        pause = getattr(ctypes.CDLL(str(path)), "omp_pause_resource_all", None)
        if pause is None or pause(PAUSE_HARD) != 0:
            _compute_in_one_thread()


def _compute_in_one_thread() -> None:
    """For an OpenMP library that keeps its threads: a child that never asks for them does not wait for them."""
    with contextlib.suppress(ImportError):
        import torch

        torch.set_num_threads(1)


def _openmp_libraries() -> set[Path]:
    lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    mapped = {Path(line.split(maxsplit=5)[5]) for line in lines if len(line.split(maxsplit=5)) == 6}
    return {path for path in mapped if path.name.startswith(OPENMP)}
