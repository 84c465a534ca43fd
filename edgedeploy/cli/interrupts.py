"""Ctrl-C, SIGTERM and SIGHUP: most commands end at once, those that use a device put it in order first."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import NoReturn

from edgedeploy.core.child_processes import end_children
from edgedeploy.core.storage.files import remove_unfinished

# While code of the user runs, os._exit raises instead, and a Ctrl-C would be taken for a fault of that code.
_EXIT = os._exit
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """A signal that asked a command to end. No Exception, so that no handler of errors takes it for one."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def end_at_once(number: int, _: object = None) -> NoReturn:
    """Ends child processes, removes unfinished files, and ends with the exit code that shells give to this signal.

    Nothing unwinds: converters swallow exceptions, and their threads crash when a process unwinds around them.
    """
    end_children()
    remove_unfinished()
    with contextlib.suppress(OSError):
        os.write(2, b"\ninterrupted; nothing half-written is left\n")
    _EXIT(128 + number)


def handle_signals() -> None:
    """From now on a signal ends the process at once."""
    for number in _signals():
        signal.signal(number, end_at_once)


def _signals() -> list[signal.Signals]:
    """SIGNALS, without a SIGHUP that `nohup` has switched off."""
    return [number for number in SIGNALS if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN]


@contextlib.contextmanager
def unwinding() -> Iterator[None]:
    """In this block a signal raises Stopped, so that a device's processes, files and modes are put in order.

    A second signal ends the process at once.
    """

    def stop(number: int, _: object) -> None:
        handle_signals()
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in _signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
