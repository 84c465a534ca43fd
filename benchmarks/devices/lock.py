"""One user of a device at a time, with the holder named to whoever comes second.

Two locks. On this machine, a file that the kernel unlocks when its holder dies. On the device, which several machines may
reach, a file that says which shell over there holds it: that shell waits for the closing of its stdin, so it ends with its
holder, with the connection, or with the device. A lock file whose shell is gone is stale and is taken over.
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import hashlib
import json
import os
import secrets
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TextIO

from platformdirs import user_state_path

from edgedeploy.core.errors import DeviceBusy, DeviceError, DeviceLost
from edgedeploy.core.storage.files import output_errors

from . import shell_scripts as shell
from .base import Holder
from .remote import RemoteDevice

ANSWER_SECONDS = 30.0


@contextlib.contextmanager
def use_device(device: RemoteDevice) -> Iterator[DeviceLock]:
    """Holds both locks of a device during the block. Raises DeviceBusy, with the holder.

    What an earlier holder left behind on the device, running or half-pushed, is ended and removed first.
    """
    me = Holder(
        getpass.getuser(), socket.gethostname(), os.getpid(), datetime.now().astimezone().isoformat("T", "seconds")
    )
    with _host_lock(device.address, me):
        lock = DeviceLock(device, me)
        try:
            lock.take()
            yield lock
        finally:
            lock.release()


@contextlib.contextmanager
def _host_lock(address: str, me: Holder) -> Iterator[None]:
    path = lock_file_of(address)
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file: TextIO = path.open("a+")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _busy(address, _read_holder(path.read_text())) from None
        file.truncate(0)
        file.write(_encode(me))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


class DeviceLock:
    """The lock on the device itself. `took_over` names the holder whose stale lock was found, if one was."""

    def __init__(self, device: RemoteDevice, me: Holder) -> None:
        self._device, self._me = device, me
        self._process: subprocess.Popen[bytes] | None = None
        self.took_over: Holder | None = None

    def take(self) -> None:
        """Takes the lock. Raises DeviceBusy, DeviceLost."""
        script = _lock_script(self._device.folder, secrets.token_hex(8), _encode(self._me))
        self._process = subprocess.Popen(
            self._device.connection.argv(script),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            word, _, rest = self._answer().partition(" ")
            if word == "busy":
                raise _busy(self._device.address, _read_holder(rest))
            if word != "held":
                raise DeviceError(f"{self._device.address} could not be locked", details=[f"{word} {rest}".strip()])
            self.took_over = _read_holder(rest)
        except BaseException:
            self.release()
            raise

    def held(self) -> bool:
        """Whether the device still knows us; False after the connection broke."""
        return self._process is not None and self._process.poll() is None

    def renew(self) -> None:
        """Takes the lock again after `wait_until_back`, if the connection broke. Raises DeviceBusy, DeviceLost."""
        if not self.held():
            self.release()
            self.take()

    def release(self) -> None:
        """Gives the lock back; on a device that is gone there is nothing to give back."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):
            process.stdin.close()  # type: ignore[union-attr]
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()

    def _answer(self) -> str:
        """The first line that the shell over there says."""
        assert self._process is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        line, deadline = b"", time.monotonic() + ANSWER_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n") and time.monotonic() < deadline:
                if selector.select(0.2):
                    piece = os.read(self._process.stdout.fileno(), 4096)
                    if not piece:
                        said = self._process.stderr.read().decode(errors="replace").strip()
                        raise self._device.connection.lost(said)
                    line += piece
        if not line.endswith(b"\n"):
            raise DeviceLost(f"{self._device.address} did not answer in {ANSWER_SECONDS:g} s")
        return line.decode(errors="replace").strip()


def _lock_script(folder: str, token: str, me: str) -> str:
    """Reporter `held [stale holder]` and waits for the end of stdin, or says `busy HOLDER`.

    The lock file is made with noclobber, which is O_EXCL. Its line: pid of the holding shell, token, holder; that shell is
    alive when its own command line has the token in it, as this very text has.
    """
    return f"""\
token={token}
me={shell.quote(me)}
mkdir -p {shell.quote(folder)} && cd {shell.quote(folder)} || exit 73
stale=
for try in 1 2 3 4; do
    if ( set -C; printf '%s\\n' "$$ $token $me" >lock ) 2>/dev/null; then
        trap 'rm -f lock; exit 0' HUP INT TERM
{shell.sweep_script(folder)}
        printf '%s\\n' "held $stale"
        read -r end
        rm -f lock
        exit 0
    fi
    if ! read -r pid theirs holder <lock 2>/dev/null; then
        [ $try = 3 ] && rm -f lock # empty for a while: its maker died, or had no space, before a word was written
        sleep 0.2
        continue
    fi
    if grep -q "$theirs" "/proc/$pid/cmdline" 2>/dev/null; then
        printf '%s\\n' "busy $holder"
        exit 0
    fi
    stale=$holder
    mv lock "lock.$token" 2>/dev/null || continue
    read -r pid moved rest <"lock.$token"
    if [ "$moved" = "$theirs" ]; then rm -f "lock.$token"; else mv "lock.$token" lock; fi # somebody else was faster
done
echo "the folder {shell.quote(folder)} cannot be written"
exit 73"""


def _encode(holder: Holder) -> str:
    return json.dumps({"user": holder.user, "host": holder.host, "pid": holder.pid, "since": holder.since})


def _read_holder(text: str) -> Holder | None:
    try:
        record = json.loads(text)
        return Holder(str(record["user"]), str(record["host"]), int(record["pid"]), str(record["since"]))
    except (ValueError, KeyError, TypeError):
        return None


def _busy(address: str, holder: Holder | None) -> DeviceBusy:
    return DeviceBusy(
        f"{address} is in use",
        details=[f"by {holder}" if holder else "by somebody who left no name"],
        hint="wait until that measurement is done; a lock whose holder has died is taken over by itself",
    )


def lock_file_of(address: str) -> Path:
    """Where this machine's lock of a device lies."""
    return user_state_path("edgedeploy") / "locks" / f"{hashlib.sha256(address.encode()).hexdigest()[:16]}.lock"
