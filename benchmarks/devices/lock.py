"""One user of a device at a time; a second one gets an error that names the holder.

Two locks. On this machine, a file lock, which the kernel releases when its holder dies, and beside it a file with the
holder's name. On the device, which several machines may reach, a file with the pid of a shell on the device that holds it:
that shell waits until its stdin is closed, so it ends with its holder, with the connection, or with the device. A lock file
whose shell is gone is stale and is taken over.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
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

from filelock import FileLock, Timeout
from platformdirs import user_state_path

from edgedeploy.core.errors import DeviceBusy, DeviceError, DeviceLost
from edgedeploy.core.storage.cache import cache_folder
from edgedeploy.core.storage.files import output_errors
from edgedeploy.core.storage.json_records import RecordInvalid, decode, encode_line, write_record

from . import shell_scripts as shell
from .base import Holder
from .remote import RemoteDevice

ANSWER_SECONDS = 30.0


@contextlib.contextmanager
def use_device(device: RemoteDevice) -> Iterator[DeviceLock]:
    """Holds both locks of a device during the block. Raises DeviceBusy, with the holder.

    What an earlier holder left on the device, running or partly pushed, is ended and removed first.
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
    holder_file = holder_file_of(address)
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, blocking=False)
        try:
            lock.acquire()
        except Timeout:
            raise _busy(address, _read_holder(holder_file)) from None
    try:
        with output_errors(holder_file):
            write_record(holder_file, me)
        yield
    finally:
        holder_file.unlink(missing_ok=True)
        lock.release()


def _read_holder(path: Path) -> Holder | None:
    try:
        return _parse_holder(path.read_text(encoding="utf-8"))
    except OSError:  # the holder has the lock and not yet written its name
        return None


class DeviceLock:
    """The lock on the device itself.

    Attributes:
        took_over: the holder whose stale lock was found, if one was.
    """

    def __init__(self, device: RemoteDevice, me: Holder) -> None:
        self._device, self._me = device, me
        self._process: subprocess.Popen[bytes] | None = None
        self.took_over: Holder | None = None

    def take(self) -> None:
        """Takes the lock. Raises DeviceBusy, DeviceLost."""
        script = _lock_script(self._device.folder, secrets.token_hex(8), encode_line(self._me))
        self._process = subprocess.Popen(
            self._device.connection.argv(script),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            status, _, rest = self._answer().partition(" ")
            if status == "busy":
                raise _busy(self._device.address, _parse_holder(rest))
            if status != "held":
                raise DeviceError(f"{self._device.address} could not be locked", details=[f"{status} {rest}".strip()])
            self.took_over = _parse_holder(rest)
        except BaseException:
            self.release()
            raise

    def held(self) -> bool:
        """Whether the lock is still held; False after the connection was lost."""
        return self._process is not None and self._process.poll() is None

    def renew(self) -> None:
        """Takes the lock again after `wait_until_back`, if it was lost. Raises DeviceBusy, DeviceLost."""
        if not self.held():
            self.release()
            self.take()

    def release(self) -> None:
        """Releases the lock; on a device that is gone there is nothing to release."""
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
        """The first line that the shell on the device prints."""
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
                        stderr = self._process.stderr.read().decode(errors="replace").strip()
                        raise self._device.connection.lost(stderr)
                    line += piece
        if not line.endswith(b"\n"):
            raise DeviceLost(f"{self._device.address} did not answer in {ANSWER_SECONDS:g} s")
        return line.decode(errors="replace").strip()


def _lock_script(folder: str, token: str, me: str) -> str:
    """Prints `held [STALE HOLDER]` and waits for the end of stdin, or prints `busy HOLDER`.

    The lock file is created with noclobber, which is O_EXCL. Its line: pid of the holding shell, token, holder; that shell
    is alive if its command line contains the token, as this script does.
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
        [ $try = 3 ] && rm -f lock # empty for a while: its writer died, or had no space, before it wrote anything
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


def _parse_holder(text: str) -> Holder | None:
    try:
        return decode(text, Holder)
    except RecordInvalid:
        return None


def _busy(address: str, holder: Holder | None) -> DeviceBusy:
    return DeviceBusy(
        f"{address} is in use",
        details=[f"by {holder}" if holder else "the holder is not known"],
        hint="wait until that measurement is done; the lock of a process that has ended is taken over",
    )


def lock_file_of(address: str) -> Path:
    """This machine's lock of a device, in the platform's folder for state."""
    try:
        folder = user_state_path("edgedeploy") / "locks"
    except RuntimeError:  # a user without a home folder, as containers have them
        folder = cache_folder("locks")
    return folder / f"{hashlib.sha256(address.encode()).hexdigest()[:16]}.lock"


def holder_file_of(address: str) -> Path:
    """The name of the holder of this machine's lock; there while the lock is held."""
    return lock_file_of(address).with_suffix(".json")
