"""The six verbs, over anything that can run a POSIX shell's script elsewhere: adb, ssh, this machine.

<folder>/...         what was pushed, by the names that the caller chose
<folder>/tmp/...     files on their way
<folder>/run/...     pid files of running commands
<folder>/lock        who uses the device now; see lock.py
"""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from edgedeploy.core.device import DeviceInfo, DeviceState
from edgedeploy.core.errors import DeviceError, DeviceFull, DeviceLost, NoDevice, UsageError
from edgedeploy.core.storage.files import output_errors, sha256_of

from . import shell_scripts as shell
from .base import CommandResult, Progress, PushResult
from .queries import describe_script, parse_description, parse_state, state_script
from .shell_session import PIECE, Answer, converse, with_receipt

SILENCE_SECONDS = 60.0
LOOKS_AT_ONCE = 12  # files asked for in one script: adb's own limit for a command line was once 4 KiB


class Connection(Protocol):
    """How to run a script on the device: the one seam between the verbs and the world."""

    address: str
    system_root: str  # prefix of /sys and /proc; "" but for a scripted device

    def argv(self, script: str) -> list[str]:
        """The command of this machine that runs `script` there, with stdin, stdout and stderr passed through."""

    def folder(self) -> str:
        """Absolute path of the folder on the device; asked once."""

    def reopen(self) -> None:
        """Does what can be done from here to reach a device that was away. Raises NoDevice while it is."""

    def lost(self, stderr: str) -> DeviceError:
        """The error for a conversation that broke off, from what the connecting program printed."""


class RemoteDevice:
    """A device behind a Connection. See `base.Device` for the verbs."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._folder: str | None = None

    def __repr__(self) -> str:
        return f"RemoteDevice({self.address})"

    @property
    def address(self) -> str:
        """What `--device` takes."""
        return self.connection.address

    @property
    def folder(self) -> str:
        """The absolute path of the one folder in which everything of edgedeploy lies."""
        if self._folder is None:
            self._folder = self.connection.folder()
        return self._folder

    @property
    def system_root(self) -> str:
        """Prefix of /sys and /proc; "" but for a scripted device."""
        return self.connection.system_root

    # --- verbs -------------------------------------------------------------------------------------------------------

    def list(self) -> tuple[str, ...]:
        """The files in the folder, by relative name."""
        out = self._ask(f"cd {shell.quote(self.folder)} 2>/dev/null || exit 0\nfind . -type f -print0")
        names = out.decode(errors="surrogateescape").split("\0")
        return tuple(sorted(name.removeprefix("./") for name in names if name))

    def describe(self) -> DeviceInfo:
        """What it is."""
        out = self._ask(describe_script(self.system_root))
        return parse_description(self.address, out.decode(errors="replace"))

    def push(self, local: Path, remote: str, *, progress: Progress | None = None) -> PushResult:
        """Brings a file, or a folder of files, to `remote`; what is there already is not sent again.

        Each file lands under a temporary name, is hashed on the device, and is renamed only if it is whole. The
        executable bit of the local file is kept.
        """
        path = shell.inside(self.folder, remote)
        files = _files_of(local, path)
        total = sum(file.stat().st_size for file, _ in files)
        hashes = [sha256_of(file) for file, _ in files]
        there = self._present([(target, _executable(file)) for file, target in files])
        done = sent = sent_files = 0
        for (file, target), mine, theirs in zip(files, hashes, there, strict=True):
            if mine != theirs:
                self._send(file, target, mine, _from(done, total, progress))
                sent, sent_files = sent + file.stat().st_size, sent_files + 1
            done += file.stat().st_size
            if progress:
                progress(done, total)
        return PushResult(path, sent, total - sent, sent_files, len(files) - sent_files)

    def run(
        self,
        command: Sequence[str],
        *,
        cwd: str = "",
        environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
        timeout: float | None = 600.0,
    ) -> CommandResult:
        """Runs a program to its end in folder `cwd`; `on_line` hears each line of stdout as it comes.

        Should this call end early, by Ctrl-C, by `timeout`, by an error in `on_line` or by the death of this process,
        the program on the device is killed and its pid file removed.
        """
        if not command or command[0].startswith("-"):
            raise UsageError(f"not a program to run: {list(command)!r}")
        token = secrets.token_hex(8)
        pid_file = shell.inside(self.folder, f"run/{token}.pid")
        script = shell.run_script(
            command,
            cwd=shell.inside(self.folder, cwd),
            pid_file=pid_file,
            token=token,
            environment={"ORT_DISABLE_TELEMETRY": "1", **(environment or {})},
        )
        lines = _Lines(on_line)
        start = time.monotonic()
        try:
            answer = self._converse(script, hold_stdin=True, on_stdout=lines.take, timeout=timeout)
        except BaseException:
            # A device that cannot be reached any more ends what it runs by itself.
            with contextlib.suppress(DeviceError):
                self._converse(shell.kill_script(pid_file, token), timeout=10)
            raise
        lines.finish()
        assert answer.exit_code is not None
        seconds = time.monotonic() - start
        return CommandResult(
            tuple(command), answer.exit_code, lines.text, answer.stderr.decode(errors="replace"), seconds
        )

    def pull(self, remote: str, local: Path, *, progress: Progress | None = None) -> Path:
        """Brings a file back; it appears at `local` whole or not at all."""
        path = shell.inside(self.folder, remote)
        temporary = local.with_name(f".{local.name}.{secrets.token_hex(4)}.tmp")
        with output_errors(local):
            local.parent.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("xb") as file:
                    receiver = _Receiver(file.write, progress)
                    answer = self._converse(shell.pull_script(path), on_stdout=receiver.take, silence=SILENCE_SECONDS)
                if answer.exit_code == 66:
                    raise DeviceError(f"there is no file {path} on {self.address}")
                if answer.exit_code or not receiver.complete():
                    raise DeviceError(f"{path} did not come whole from {self.address}", details=_lines_of(answer))
                temporary.replace(local)
            finally:
                temporary.unlink(missing_ok=True)
        return local

    def remove(self, remote: str) -> None:
        """Removes a file or folder; none there is fine."""
        self._ask(f"rm -rf {shell.quote(shell.inside(self.folder, remote))}")

    # --- beside the verbs ---------------------------------------------------------------------------------------------

    def wait_until_back(self, seconds: float) -> None:
        """Waits for a device that was lost. Raises the last NoDevice or DeviceLost when it does not come in time."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.connection.reopen()
                self.ask(":")
                return
            except (NoDevice, DeviceLost):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def read_state(self) -> DeviceState:
        """What it is like now: battery, screen, temperatures, clock frequencies. Raises DeviceLost."""
        _, text = self.ask(state_script(self.system_root))
        return parse_state(text, time.time())

    def ask(self, script: str, *, timeout: float = 30.0) -> tuple[int, str]:
        """Exit code and stdout of one of this package's own scripts; for hygiene, which asks much and expects refusals."""
        out = bytearray()
        answer = self._converse(script, on_stdout=out.extend, timeout=timeout)
        return answer.exit_code or 0, out.decode(errors="replace")

    def _ask(self, script: str) -> bytes:
        out = bytearray()
        answer = self._converse(script, on_stdout=out.extend, timeout=120)
        if answer.exit_code:
            raise DeviceError(f"{self.address} refused", details=_lines_of(answer))
        return bytes(out)

    def _converse(
        self,
        script: str,
        *,
        feed: Iterable[bytes] = (),
        hold_stdin: bool = False,
        on_stdout: Callable[[bytes], None] = lambda piece: None,
        timeout: float | None = None,
        silence: float | None = None,
    ) -> Answer:
        text, token = with_receipt(script)
        answer = converse(
            self.connection.argv(text),
            token=token,
            feed=feed,
            hold_stdin=hold_stdin,
            on_stdout=on_stdout,
            timeout=timeout,
            silence=silence,
        )
        if answer.exit_code is None:
            raise self.connection.lost(answer.stderr.decode(errors="replace").strip())
        return answer

    def _present(self, files: Sequence[tuple[str, bool]]) -> Sequence[str]:
        hashes: list[str] = []
        for start in range(0, len(files), LOOKS_AT_ONCE):
            hashes += self._ask(shell.presence_script(files[start : start + LOOKS_AT_ONCE])).decode().split()
        return hashes

    def _send(self, file: Path, target: str, sha256: str, moved: Callable[[int], object]) -> None:
        script = shell.push_script(
            temporary=shell.inside(self.folder, f"tmp/{secrets.token_hex(8)}"),
            target=target,
            sha256=sha256,
            executable=_executable(file),
        )
        answer = self._converse(script, feed=_pieces(file, moved), silence=SILENCE_SECONDS)
        if answer.exit_code:
            raise self._refused_push(file, target, answer)

    def _refused_push(self, file: Path, target: str, answer: Answer) -> DeviceError:
        what = f"{file.name} could not be pushed to {self.address}"
        text = answer.stderr.decode(errors="replace")
        if "No space left" in text or "Disk quota" in text:
            _, free = self.ask(f"df -k {shell.quote(self.folder)} | tail -n 1")
            column = free.split()[3] if len(free.split()) > 3 else ""
            room = [f"{int(column) / 1024:.0f} MiB are free on the device"] if column.isdigit() else []
            return DeviceFull(
                f"{what}: no space is left there",
                details=[f"it takes {file.stat().st_size / 2**20:.0f} MiB", *room],
                hint=f"edgedeploy clean --device {self.address}",
            )
        if answer.exit_code == 65:
            return DeviceError(f"{what}: it arrived damaged", hint="another cable or port; the file was not kept")
        if answer.exit_code == 77:
            return DeviceError(
                f"{what}: programs may not be run from {self.folder}",
                details=["it lies on a file system that is mounted noexec"],
            )
        return DeviceError(f"{what} as {target}", details=_lines_of(answer))


def _files_of(local: Path, path: str) -> Sequence[tuple[Path, str]]:
    """(file here, absolute path there) of a file, or of all files below a folder in a fixed order."""
    if local.is_dir():
        files = sorted(file for file in local.rglob("*") if file.is_file())
        return [(file, shell.inside(path, file.relative_to(local).as_posix())) for file in files]
    if not local.is_file():
        raise UsageError(f"there is no file {local}")
    return [(local, path)]


def _executable(file: Path) -> bool:
    return os.access(file, os.X_OK)


def _pieces(file: Path, moved: Callable[[int], object]) -> Iterator[bytes]:
    done = 0
    with file.open("rb") as source:
        while piece := source.read(PIECE):
            yield piece
            done += len(piece)
            moved(done)


def _from(before: int, total: int, progress: Progress | None) -> Callable[[int], object]:
    """Progress of one file as progress of the whole."""
    return (lambda moved: progress(before + moved, total)) if progress else (lambda moved: None)


def _lines_of(answer: Answer) -> Sequence[str]:
    return answer.stderr.decode(errors="replace").strip().splitlines()[-5:]


class _Lines:
    """stdout as text, and line by line as it comes."""

    def __init__(self, on_line: Callable[[str], None] | None) -> None:
        self.text, self._rest, self._on_line = "", "", on_line
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._parts: list[str] = []

    def take(self, piece: bytes, *, last: bool = False) -> None:
        text = self._decode(piece, last)
        self._parts.append(text)
        if self._on_line:
            *lines, self._rest = (self._rest + text).split("\n")
            for line in lines:
                self._on_line(line)

    def finish(self) -> None:
        self.take(b"", last=True)
        self.text = "".join(self._parts)
        if self._rest and self._on_line:
            self._on_line(self._rest)


class _Receiver:
    """A pulled file: a line that announces size and hash, then the bytes."""

    def __init__(self, write: Callable[[bytes], object], progress: Progress | None) -> None:
        self._write, self._progress, self._hash = write, progress, hashlib.sha256()
        self._head: bytes | None = b""
        self._size, self._expected, self._done = 0, "", 0

    def take(self, piece: bytes) -> None:
        if self._head is not None:
            head, end, piece = (self._head + piece).partition(b"\n")
            if not end:
                self._head = head
                return
            self._head = None
            size, self._expected = head.decode().split()
            self._size = int(size)
        self._write(piece)
        self._hash.update(piece)
        self._done += len(piece)
        if self._progress:
            self._progress(self._done, self._size)

    def complete(self) -> bool:
        return self._head is None and self._done == self._size and self._hash.hexdigest() == self._expected
