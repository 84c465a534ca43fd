"""What converters do to the process that they run in, and its undoing: output, random states, warnings, loggers, paths."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import random
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

STANDARD_STREAMS = (1, 2)

_redirection = threading.RLock()
_kept = threading.Lock()
_users = 0
_restore: Callable[[], None] | None = None


@contextlib.contextmanager
def quiet(log: Path) -> Iterator[None]:
    """Redirects this process's stdout and stderr, file descriptors 1 and 2, to a file during the block.

    The descriptors and not `sys.stdout`, because converters print from C++ too. They belong to the whole process, so one
    thread at a time is in such a block and the others wait; converters could not run at the same time anyhow.
    """
    with _redirection:
        _flush()
        saved = [(number, _copy(number)) for number in STANDARD_STREAMS]
        opened = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        target = fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, 3)  # where stdout is closed, `opened` may be its number
        os.close(opened)
        try:
            for number in STANDARD_STREAMS:
                os.dup2(target, number)
            yield
        finally:
            _flush()
            for number, copy in saved:
                if copy is None:
                    os.close(number)
                else:
                    os.dup2(copy, number)
                    os.close(copy)
            os.close(target)


def _copy(number: int) -> int | None:
    """Another descriptor of the same file, above those of the standard streams; None where there is none."""
    try:
        return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3)
    except OSError:
        return None


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError, AttributeError):  # closed, or none at all
            stream.flush()


@contextlib.contextmanager
def process_state_kept() -> Iterator[None]:
    """A block after which random states, warning filters, root log handlers, `sys.path` and the environment are as before.

    Where several threads are in such blocks, the first one saves and the last one restores.
    """
    global _users, _restore
    with _kept:
        _users += 1
        if _users == 1:
            _restore = _saved_state()
    try:
        yield
    finally:
        with _kept:
            _users -= 1
            if _users == 0 and _restore is not None:
                _restore()
                _restore = None


def _saved_state() -> Callable[[], None]:
    """A function that brings back what is so now."""
    import torch

    root = logging.root
    path, environment = list(sys.path), dict(os.environ)
    filters, show_warning = list(warnings.filters), warnings.showwarning
    handlers, level, disabled = list(root.handlers), root.level, root.manager.disable
    python_state, numpy_state, torch_state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()

    def restore() -> None:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        torch.set_rng_state(torch_state)
        torch.set_default_dtype(dtype)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        warnings.filters[:] = filters  # type: ignore[index]
        warnings.showwarning = show_warning
        warnings._filters_mutated()  # type: ignore[attr-defined]  # else warnings would use what they have cached
        root.handlers[:], root.manager.disable = handlers, disabled
        root.setLevel(level)
        sys.path[:] = path
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)

    return restore
