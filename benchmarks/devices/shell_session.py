"""One conversation with a program of this machine (adb, ssh, sh) that speaks for a device: feed it, hear it, end it.

A conversation ends in one of three ways: the far side says with which exit code its script ended; it does not say, then the
connection was lost; or this side gives up (Ctrl-C, timeout), then the program is ended here, which the far side notices.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from edgedeploy.core.errors import DeviceError

PIECE = 1 << 16


@dataclass(frozen=True)
class Answer:
    """What came back. `exit_code` is None where the far side never told: the connection was lost."""

    exit_code: int | None
    stderr: bytes
    program_exit_code: int


def with_receipt(script: str) -> tuple[str, str]:
    """The script followed by a receipt on stderr, and the receipt's token.

    Exit codes of adb and ssh themselves (1 and 255 for a lost connection) could be the script's own; a receipt could not.
    """
    token = secrets.token_hex(8)
    return f"(\n{script}\n)\nprintf '\\n%s %d\\n' receipt-{token} $? >&2", token


def converse(
    argv: Sequence[str],
    *,
    token: str,
    feed: Iterable[bytes] = (),
    hold_stdin: bool = False,
    on_stdout: Callable[[bytes], None] = lambda piece: None,
    timeout: float | None = None,
    silence: float | None = None,
) -> Answer:
    """Runs `argv` on this machine, writes `feed` to it, hands its stdout on, and collects stderr and the receipt.

    Args:
        token: of `with_receipt`.
        hold_stdin: keep stdin open to the end; the far side takes its closing for our death.
        timeout: seconds for all of it.
        silence: seconds without a byte in either direction.

    Raises DeviceError for a timeout. Whatever is raised, the program is gone by then.
    """
    # A session of its own: a Ctrl-C in the terminal reaches this process alone, which then ends the conversation in order.
    process = subprocess.Popen(
        list(argv),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )
    stderr = bytearray()
    try:
        for moment in _pump(process, iter(feed), hold_stdin, on_stdout, stderr):
            if timeout is not None and moment.running > timeout:
                raise DeviceError(f"not finished after {timeout:g} s; it was ended")
            if silence is not None and moment.silent > silence:
                raise DeviceError(f"no byte moved for {silence:g} s; the device may be out of reach")
        program_exit_code = process.wait()
    finally:
        _end(process)
    text, exit_code = _take_receipt(bytes(stderr), token)
    return Answer(exit_code, text, program_exit_code)


@dataclass(frozen=True)
class _Moment:
    running: float
    silent: float


def _pump(
    process: subprocess.Popen[bytes],
    feed: Iterator[bytes],
    hold_stdin: bool,
    on_stdout: Callable[[bytes], None],
    stderr: bytearray,
) -> Iterator[_Moment]:
    """Moves bytes until stdout and stderr are closed; yields at least ten times a second."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    start = last = time.monotonic()
    waiting = memoryview(b"")
    os.set_blocking(process.stdin.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(process.stderr, selectors.EVENT_READ)
        selector.register(process.stdin, selectors.EVENT_WRITE)
        open_outputs = 2
        while open_outputs:
            for key, _ in selector.select(0.1):
                if key.fileobj is process.stdin:
                    try:
                        waiting = waiting or memoryview(next(feed, b""))
                        if waiting:
                            waiting = waiting[os.write(process.stdin.fileno(), waiting) :]
                            last = time.monotonic()
                            continue
                    except BlockingIOError:
                        continue
                    except BrokenPipeError:  # the far side has heard enough; it says why in its own way
                        pass
                    selector.unregister(process.stdin)
                    if not hold_stdin:
                        process.stdin.close()
                    continue
                piece = os.read(key.fd, PIECE)
                last = time.monotonic()
                if not piece:
                    selector.unregister(key.fileobj)
                    open_outputs -= 1
                elif key.fileobj is process.stdout:
                    on_stdout(piece)
                else:
                    stderr += piece
            now = time.monotonic()
            yield _Moment(now - start, now - last)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the program and what it started here, and closes our ends of its pipes."""
    with contextlib.suppress(OSError):
        if process.stdin:
            process.stdin.close()
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()


def _take_receipt(stderr: bytes, token: str) -> tuple[bytes, int | None]:
    before, mark, after = stderr.rpartition(f"\nreceipt-{token} ".encode())
    if not mark:
        return stderr, None
    return before, int(after.split(b"\n")[0])
