"""A device over anything that can run a POSIX shell's script on it: adb, ssh, this machine.

<folder>/...         what was pushed, by the names that the caller chose
<folder>/tmp/...     files that are being pushed
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
from .shell_session import CHUNK_BYTES, Limits, ShellResult, run_script

SILENCE = Limits(silence_s=60.0)  # for transfers, which take as long as they take
FILES_PER_CHECK = 12  # in one script: adb's own limit for a command line was once 4 KiB


class Connection(Protocol):
    """How to run a script on a device."""

    address: str
    system_root: str  # prefix of /sys and /proc; "" but for a scripted device

    def argv(self, script: str) -> Sequence[str]:
        """The command of this machine that runs `script` on the device, with stdin, stdout and stderr passed through."""

    def folder(self) -> str:
        """Absolute path of edgedeploy's folder on the device; called once."""

    def reopen(self) -> None:
        """Does what this machine can do to reach a device that was away. Raises NoDevice while it cannot."""

    def lost(self, stderr: str) -> DeviceError:
        """The error for a script without an exit code, from what the connecting program printed."""


class RemoteDevice:
    """A device behind a Connection; see `base.Device`."""

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
        """The absolute path of the one folder that holds all of edgedeploy's files."""
        if self._folder is None:
            self._folder = self.connection.folder()
        return self._folder

    # --- the Device protocol -----------------------------------------------------------------------------------------

    def list(self) -> tuple[str, ...]:
        """The files in the folder, by relative name."""
        out = self._output_of(f"cd {shell.quote(self.folder)} 2>/dev/null || exit 0\nfind . -type f -print0")
        names = out.decode(errors="surrogateescape").split("\0")
        return tuple(sorted(name.removeprefix("./") for name in names if name))

    def describe(self) -> DeviceInfo:
        """What the device is."""
        out = self._output_of(describe_script(self.connection.system_root))
        return parse_description(self.address, out.decode(errors="replace"))

    def push(self, local: Path, remote: str, *, progress: Progress | None = None) -> PushResult:
        """Copies a file, or a folder of files, to `remote`; what is there already is not sent again.

        Each file gets a temporary name, is hashed on the device, and is renamed only if it is whole. The executable bit of
        the local file is kept.
        """
        path = shell.inside(self.folder, remote)
        files = _files_of(local, path)
        total = sum(file.stat().st_size for file, _ in files)
        hashes = [sha256_of(file) for file, _ in files]
        found = self._hashes_of([(target, _executable(file)) for file, target in files])
        done = sent = sent_files = 0
        for (file, target), wanted, present in zip(files, hashes, found, strict=True):
            if wanted != present:
                self._send(file, target, wanted, _from(done, total, progress))
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
        on_line: Callable[[str], object] | None = None,
        timeout: float | None = 600.0,
    ) -> CommandResult:
        """Runs a program to its end in folder `cwd`; `on_line` receives each line of stdout as it comes.

        Should this call end early, by Ctrl-C, by `timeout`, by an error in `on_line` or by the death of this process, the
        program on the device is killed and its pid file removed.
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
            result = self._run_script(script, hold_stdin=True, on_stdout=lines.take, limits=Limits(timeout))
        except BaseException:
            # A device that cannot be reached any more ends what it runs by itself.
            with contextlib.suppress(DeviceError):
                self._run_script(shell.kill_script(pid_file, token), limits=Limits(10))
            raise
        lines.finish()
        assert result.exit_code is not None
        seconds = time.monotonic() - start
        stderr = result.stderr.decode(errors="replace")
        return CommandResult(tuple(command), result.exit_code, lines.text, stderr, seconds)

    def pull(self, remote: str, local: Path, *, progress: Progress | None = None) -> Path:
        """Copies a file to this machine; it appears at `local` whole or not at all."""
        path = shell.inside(self.folder, remote)
        temporary = local.with_name(f".{local.name}.{secrets.token_hex(4)}.tmp")
        with output_errors(local):
            local.parent.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("xb") as file:
                    receiver = _Receiver(file.write, progress)
                    result = self._run_script(shell.pull_script(path), on_stdout=receiver.take, limits=SILENCE)
                if result.exit_code == 66:
                    raise DeviceError(f"there is no file {path} on {self.address}")
                if result.exit_code or not receiver.complete():
                    raise DeviceError(f"{path} did not arrive whole from {self.address}", details=_last_lines(result))
                temporary.replace(local)
            finally:
                temporary.unlink(missing_ok=True)
        return local

    def remove(self, remote: str) -> None:
        """Removes a file or folder; a missing one is no error."""
        self._output_of(f"rm -rf {shell.quote(shell.inside(self.folder, remote))}")

    # --- beside the protocol -----------------------------------------------------------------------------------------

    def read_state(self) -> DeviceState:
        """What the device is like now: battery, screen, temperatures, clock frequencies. Raises DeviceLost."""
        _, text = self.ask(state_script(self.connection.system_root))
        return parse_state(text, self.now())

    def now(self) -> float:
        """This machine's clock, seconds since 1970; a replayed device has that of its record."""
        return time.time()

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

    def ask(self, script: str, *, timeout: float = 30.0) -> tuple[int, str]:
        """Runs one of this package's own scripts, which may fail; returns its exit code and stdout."""
        out = bytearray()
        result = self._run_script(script, on_stdout=out.extend, limits=Limits(timeout))
        return result.exit_code or 0, out.decode(errors="replace")

    def _output_of(self, script: str) -> bytes:
        """The stdout of a script that must not fail."""
        out = bytearray()
        result = self._run_script(script, on_stdout=out.extend, limits=Limits(120))
        if result.exit_code:
            raise DeviceError(
                f"a command failed on {self.address} with exit code {result.exit_code}", details=_last_lines(result)
            )
        return bytes(out)

    def _run_script(
        self,
        script: str,
        *,
        stdin: Iterable[bytes] = (),
        hold_stdin: bool = False,
        on_stdout: Callable[[bytes], object] = lambda chunk: None,
        limits: Limits,
    ) -> ShellResult:
        result = run_script(
            self.connection.argv, script, stdin=stdin, hold_stdin=hold_stdin, on_stdout=on_stdout, limits=limits
        )
        if result.exit_code is None:
            raise self.connection.lost(result.stderr_text)
        return result

    def _hashes_of(self, files: Sequence[tuple[str, bool]]) -> Sequence[str]:
        """For each (path, executable): the file's sha256, or "-" where there is none."""
        hashes: list[str] = []
        for start in range(0, len(files), FILES_PER_CHECK):
            hashes += self._output_of(shell.presence_script(files[start : start + FILES_PER_CHECK])).decode().split()
        return hashes

    def _send(self, file: Path, target: str, sha256: str, moved: Callable[[int], object]) -> None:
        script = shell.push_script(
            temporary=shell.inside(self.folder, f"tmp/{secrets.token_hex(8)}"),
            target=target,
            sha256=sha256,
            executable=_executable(file),
        )
        result = self._run_script(script, stdin=read_chunks(file, moved), limits=SILENCE)
        if result.exit_code:
            raise self._push_error(file, target, result)

    def _push_error(self, file: Path, target: str, result: ShellResult) -> DeviceError:
        what = f"{file.name} could not be pushed to {self.address}"
        if "No space left" in result.stderr_text or "Disk quota" in result.stderr_text:
            _, free = self.ask(f"df -k {shell.quote(self.folder)} | tail -n 1")
            column = free.split()[3] if len(free.split()) > 3 else ""
            room = [f"{int(column) / 1024:.0f} MiB are free on the device"] if column.isdigit() else []
            return DeviceFull(
                f"{what}: no space is left there",
                details=[f"it takes {file.stat().st_size / 2**20:.0f} MiB", *room],
                hint=f"edgedeploy clean --device {self.address}",
            )
        if result.exit_code == 65:
            return DeviceError(f"{what}: it arrived damaged", hint="another cable or port; the file was not kept")
        if result.exit_code == 77:
            return DeviceError(
                f"{what}: programs may not be run from {self.folder}",
                details=["it lies on a file system that is mounted noexec"],
            )
        return DeviceError(f"{what} as {target}", details=_last_lines(result))


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


def read_chunks(file: Path, moved: Callable[[int], object]) -> Iterator[bytes]:
    """The content of a file; `moved` receives the number of bytes that were taken so far."""
    done = 0
    with file.open("rb") as source:
        while chunk := source.read(CHUNK_BYTES):
            yield chunk
            done += len(chunk)
            moved(done)


def _from(before: int, total: int, progress: Progress | None) -> Callable[[int], object]:
    """Progress of one file as progress of the whole."""
    return (lambda moved: progress(before + moved, total)) if progress else (lambda moved: None)


def _last_lines(result: ShellResult) -> Sequence[str]:
    return result.stderr_text.splitlines()[-5:]


class _Lines:
    """stdout as text, and line by line as it comes."""

    def __init__(self, on_line: Callable[[str], object] | None) -> None:
        self.text, self._rest, self._on_line = "", "", on_line
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._parts: list[str] = []

    def take(self, chunk: bytes, *, last: bool = False) -> None:
        text = self._decode(chunk, last)
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
    """A pulled file: a line with its size and hash, then its bytes."""

    def __init__(self, write: Callable[[bytes], object], progress: Progress | None) -> None:
        self._write, self._progress, self._hash = write, progress, hashlib.sha256()
        self._head: bytes | None = b""
        self._size, self._expected, self._done = 0, "", 0

    def take(self, chunk: bytes) -> None:
        if self._head is not None:
            head, end, chunk = (self._head + chunk).partition(b"\n")
            if not end:
                self._head = head
                return
            self._head = None
            size, self._expected = head.decode().split()
            self._size = int(size)
        self._write(chunk)
        self._hash.update(chunk)
        self._done += len(chunk)
        if self._progress:
            self._progress(self._done, self._size)

    def complete(self) -> bool:
        return self._head is None and self._done == self._size and self._hash.hexdigest() == self._expected
