"""Runs a script in a device's shell, through a program of this machine (adb, ssh or sh) that is connected to it.

A script ends in one of three ways: it exits, and its exit code arrives; no exit code arrives, then the connection was lost;
or this side gives up (Ctrl-C, timeout), then the program is ended here, which closes the script's stdin.
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

CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class ShellResult:
    """How a script ended. `exit_code` is None where none arrived: the connection was lost."""

    exit_code: int | None
    stderr: bytes

    @property
    def stderr_text(self) -> str:
        """stderr as text, without spaces at its ends."""
        return self.stderr.decode(errors="replace").strip()


@dataclass(frozen=True)
class Limits:
    """When a script is given up; None for never.

    Attributes:
        total_s: after this long.
        silence_s: when no byte came or went for this long.
    """

    total_s: float | None = None
    silence_s: float | None = None


NO_LIMITS = Limits()


def _ignore(chunk: bytes) -> None:
    return None


def run_script(
    argv: Callable[[str], Sequence[str]],
    script: str,
    *,
    stdin: Iterable[bytes] = (),
    hold_stdin: bool = False,
    on_stdout: Callable[[bytes], object] = _ignore,
    limits: Limits = NO_LIMITS,
) -> ShellResult:
    """Runs a script on a device to its end.

    Args:
        argv: gives the command of this machine that runs a script on the device; see `remote.Connection`.
        stdin: what the script reads.
        hold_stdin: keep stdin open to the end, for a script that ends its work when stdin is closed.
        on_stdout: receives stdout as it arrives.

    Raises DeviceError at a limit. Whatever is raised, the program has ended by then.
    """
    text, token = with_exit_code_marker(script)
    # A session of its own: a Ctrl-C in the terminal reaches this process alone, which then ends the program in order.
    process = subprocess.Popen(
        list(argv(text)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )
    stderr = bytearray()
    try:
        for elapsed in _transfer(process, iter(stdin), hold_stdin, on_stdout, stderr):
            if limits.total_s is not None and elapsed.total_s > limits.total_s:
                raise DeviceError(f"not finished after {limits.total_s:g} s; it was ended")
            if limits.silence_s is not None and elapsed.silence_s > limits.silence_s:
                raise DeviceError(f"no byte moved for {limits.silence_s:g} s; the device may be out of reach")
        process.wait()
    finally:
        _end(process)
    return _split_marker(bytes(stderr), token)


def with_exit_code_marker(script: str) -> tuple[str, str]:
    """The script, with a last line on stderr that holds its exit code and a random token; and the token.

    Exit codes of adb and ssh themselves (1 and 255 for a lost connection) could be the script's own; the marker could not.
    """
    token = secrets.token_hex(8)
    return f"(\n{script}\n)\nprintf '\\n%s %d\\n' exit-code-{token} $? >&2", token


def _split_marker(stderr: bytes, token: str) -> ShellResult:
    before, marker, after = stderr.rpartition(f"\nexit-code-{token} ".encode())
    if not marker:
        return ShellResult(None, stderr)
    return ShellResult(int(after.split(b"\n")[0]), before)


@dataclass(frozen=True)
class _Elapsed:
    total_s: float
    silence_s: float


def _transfer(
    process: subprocess.Popen[bytes],
    chunks: Iterator[bytes],
    hold_stdin: bool,
    on_stdout: Callable[[bytes], object],
    stderr: bytearray,
) -> Iterator[_Elapsed]:
    """Moves bytes until stdout and stderr are closed; yields at least ten times a second."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    start = last = time.monotonic()
    unsent = memoryview(b"")
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
                        unsent = unsent or memoryview(next(chunks, b""))
                        if unsent:
                            unsent = unsent[os.write(process.stdin.fileno(), unsent) :]
                            last = time.monotonic()
                            continue
                    except BlockingIOError:
                        continue
                    except BrokenPipeError:  # the script reads no more; its exit code and stderr give the reason
                        pass
                    selector.unregister(process.stdin)
                    if not hold_stdin:
                        process.stdin.close()
                    continue
                chunk = os.read(key.fd, CHUNK_BYTES)
                last = time.monotonic()
                if not chunk:
                    selector.unregister(key.fileobj)
                    open_outputs -= 1
                elif key.fileobj is process.stdout:
                    on_stdout(chunk)
                else:
                    stderr += chunk
            now = time.monotonic()
            yield _Elapsed(now - start, now - last)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the program and its child processes, and closes the pipes to it."""
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
