"""Files that are never half-written, and their hashes."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import os
import secrets
import select
import shutil
import stat
import sys
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from edgedeploy.core.errors import OutputFailed

from . import folders

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
NO_SPACE = (*DISK_FULL, errno.EFBIG)
MAX_READ_BYTES = 512 * 2**20
PIPE_WAIT_S, READ_WAIT_S = 10.0, 25.0  # for a reader, and for what a writer gives first
OwnNames = Callable[[Path], Collection[str]]  # of an older folder: the names of what may be replaced
STAGED, OLD = ".tmp", ".old"  # endings of a folder that is being filled, and of one that is being replaced


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_limited(path: Path, limit: int = MAX_READ_BYTES) -> bytes:
    """The content of a file that a person named.

    Raises OSError, also for a file or device with more than `limit` bytes, and for a pipe that nothing is written to.
    """
    with os.fdopen(_open_for_reading(path), "rb") as file:
        if os.fstat(file.fileno()).st_size <= limit:
            data = file.read(limit + 1)
            if len(data) <= limit:
                return data
    raise OSError(errno.EFBIG, f"it has more than {limit / 2**20:.0f} MiB", str(path))


def _open_for_reading(path: Path) -> int:
    """A descriptor of what is there. A pipe without a writer is waited for a while and not for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        if not waiting.poll(READ_WAIT_S * 1000):
            os.close(descriptor)
            raise OSError(errno.ETIMEDOUT, f"nothing was written to this pipe for {READ_WAIT_S:.0f} s", str(path))
    os.set_blocking(descriptor, True)
    return descriptor


def explain_os_error(error: OSError) -> OutputFailed:
    """An error of the operating system that nobody expected, in words."""
    if error.filename is None and error.errno == errno.EFBIG:
        return OutputFailed("a file became larger than this shell allows", hint="`ulimit -f` shows the limit")
    if error.filename is None and error.errno in DISK_FULL:
        return OutputFailed(
            "the disk is full: stdout or a temporary file could not be written",
            hint="free some space, or TMPDIR=DIR on another disk",
        )
    return explain(Path(error.filename or "."), error)


def explain(path: Path, error: OSError) -> OutputFailed:
    """What the operating system refused, in words, and what to do about it."""
    if error.errno in DISK_FULL:
        free = ""
        with contextlib.suppress(OSError):
            free = f"{shutil.disk_usage(path.parent).free / 2**20:.0f} MiB are free there"
        return OutputFailed(
            f"the disk is full: {path} could not be written",
            details=[free] if free else [],
            hint="free some space, or --output DIR on another disk",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputFailed(
            f"{path} cannot be written: {error.strerror}", hint="--output DIR with a folder of your own"
        )
    if error.errno == errno.ENXIO:
        return OutputFailed(f"{path} is a pipe that nobody reads", hint="start its reader first")
    if error.errno == errno.EISDIR:
        return OutputFailed(f"{path} is a folder, so no file can be written there", hint=f"{path}/NAME")
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return OutputFailed(f"{path} cannot be made: a file is where a folder should be", hint="--output DIR")
    return OutputFailed(
        f"{path} could not be written: {error.strerror or error}", hint="--output DIR with a folder of your own"
    )


@contextlib.contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turns the operating system's refusal to write below `path` into an OutputFailed that says what to do."""
    try:
        yield
    except OSError as error:
        raise explain(path, error) from error


def write_atomically(path: Path, content: bytes | str) -> None:
    """Writes a file under a temporary name beside it, then renames: readers see the old file or the whole new one.

    A link is followed, and a file that is there keeps its mode. What is no regular file (a device, a pipe) is written to,
    as is a file whose folder does not let itself be changed.
    """
    data = content.encode() if isinstance(content, str) else content
    with output_errors(path):
        if not is_replaceable(path):
            _write_in_place(path, data)
            return
        final = Path(os.path.realpath(path))
        final.parent.mkdir(parents=True, exist_ok=True)
        mode = stat.S_IMODE(final.stat().st_mode) if final.exists() else None
        if mode is not None and not os.access(final, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        try:
            _replace(final, data, mode)
        except OSError as error:  # a read-only folder, or a file that is mounted by itself
            if mode is None or error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY):
                raise
            _write_in_place(final, data)


def is_replaceable(path: Path) -> bool:
    """Whether a write may put a new file in this one's place: it is a regular file, or nothing is there yet.

    False for devices, pipes and sockets, and for the file that is this process's own stdout or stderr.
    """
    try:
        found = path.stat()
    except OSError:
        return True
    return (stat.S_ISREG(found.st_mode) and _standard_stream(found) is None) or stat.S_ISDIR(found.st_mode)


def _standard_stream(found: os.stat_result) -> int | None:
    """The descriptor of stdout or stderr where that is this very file."""
    for number in (1, 2):
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(number), found):
                return number
    return None


def _replace(final: Path, data: bytes, mode: int | None) -> None:
    temporary = final.with_name(f".{final.name[:200]}.{secrets.token_hex(4)}.tmp")
    try:
        created = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else 0o600)
        with os.fdopen(created, "wb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(final)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write_in_place(path: Path, data: bytes) -> None:
    stream = _standard_stream(path.stat())
    if stream is not None:
        sys.stdout.flush()
        sys.stderr.flush()
    descriptor = os.dup(stream) if stream is not None else _open_for_writing(path)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _open_for_writing(path: Path) -> int:
    """A descriptor of what is there. A pipe without a reader is waited for a while and not for ever."""
    deadline = time.monotonic() + PIPE_WAIT_S
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NONBLOCK | os.O_NOCTTY)
            break
        except OSError as error:
            if error.errno != errno.ENXIO or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    os.set_blocking(descriptor, True)
    return descriptor


def check_writable(folder: Path) -> None:
    """Finds out before the work whether its result could be written. Raises OutputFailed."""
    existing = Path(os.path.realpath(folder))
    with output_errors(folder):
        while not existing.exists():
            if existing.is_symlink():  # what realpath leaves unresolved leads to itself
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(existing))
            existing = existing.parent
        if not existing.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(existing))
        probe = existing / f".edgedeploy-{secrets.token_hex(4)}.tmp"
        probe.touch()
        probe.unlink()


def check_file_writable(path: Path) -> None:
    """Finds out before the work whether `write_atomically` could write its result there. Raises OutputFailed."""
    with output_errors(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if path.exists():
            if not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return
    check_writable(Path(os.path.realpath(path)).parent)


def remove_unfinished() -> None:
    """Removes every folder that is still being filled; for a process that is about to end without unwinding."""
    folders.remove_held()


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that only this user can read, gone after the block. What killed processes left of theirs goes first."""
    folder = folders.create_held(folders.private_parent(), "edgedeploy-tmp-")
    try:
        yield folder
    finally:
        folders.release(folder)


def recover(final: Path, own_names: OwnNames | None = None) -> None:
    """Puts in order what processes that were killed left of a `staged_folder`, if nobody works on it now."""
    final = Path(os.path.realpath(final))
    if final.parent.is_dir():
        with contextlib.suppress(OSError), folders.locked(final.parent):
            _recover(final, own_names)


@contextlib.contextmanager
def staged_folder(final: Path, own_names: OwnNames | None = None) -> Iterator[Path]:
    """A private folder that becomes `final` when the block ends well, and is gone when it does not.

    An older `final` stays as it is until the new one is complete, and is then exchanged for it in one step, where the file
    system can do that. What a killed process left behind goes first.

    Args:
        own_names: which files of an older `final` the new one replaces; the others are kept in it, and none of them is
            overwritten. None replaces all.

    Raises OutputFailed.
    """
    with output_errors(final):
        final = Path(os.path.realpath(final))
        final.parent.mkdir(parents=True, exist_ok=True)
        with folders.locked(final.parent):
            _recover(final, own_names)
        stage = folders.create_held(final.parent, f".{final.name}.", STAGED)
    try:
        yield stage
        with output_errors(final):
            stage.chmod(0o755)
            for file in stage.iterdir():  # folders and links as they are; a program stays a program
                if file.is_file() and not file.is_symlink():
                    file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
            check_replaceable(final, own_names, {file.name for file in stage.iterdir()})
            _publish(stage, final, own_names)
    finally:
        folders.release(stage)


def check_replaceable(final: Path, own_names: OwnNames | None, new_names: Collection[str]) -> None:
    """Raises OutputFailed where `final` is no folder, or holds a file of somebody else's with one of the new names."""
    if final.exists() and not final.is_dir():
        raise explain(final, NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(final)))
    if own_names is None or not final.is_dir():
        return
    foreign = {file.name for file in final.iterdir()} - set(own_names(final))
    if taken := sorted(foreign & set(new_names)):
        raise OutputFailed(
            f"{final / taken[0]} is not of an artifact that edgedeploy made, so it is not overwritten",
            hint="move it away, or --output DIR with another folder",
        )


def _publish(stage: Path, final: Path, own_names: OwnNames | None) -> None:
    """Puts the complete `stage` in the place of `final`.

    From the first line on the folder has an ending by which `_recover` completes, after a kill, what was begun here.
    """
    ready = stage.with_suffix(OLD)
    with folders.detached(stage), folders.locked(final.parent):
        stage.rename(ready)
        replaced = ready
        while True:
            try:
                ready.rename(final)  # where nothing is there, or an empty folder
                break
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            if folders.exchange(ready, final):
                break
            replaced = stage.with_suffix(f".{secrets.token_hex(4)}{OLD}")
            with contextlib.suppress(FileNotFoundError):
                final.rename(replaced)
        _keep_foreign(replaced, final, own_names)
        shutil.rmtree(replaced, ignore_errors=True)


def _keep_foreign(old: Path, final: Path, own_names: OwnNames | None) -> None:
    """Moves what is not ours from a replaced folder into the new one."""
    if own_names is None or not old.is_dir():
        return
    own = set(own_names(old))
    for file in old.iterdir():
        if file.name not in own and not (final / file.name).exists():
            file.rename(final / file.name)


def _recover(final: Path, own_names: OwnNames | None) -> None:
    """Puts in order what killed processes left: a folder that was half replaced, and folders that were being filled."""
    beside = glob.escape(f".{final.name}.")
    for old in folders.abandoned(final.parent.glob(f"{beside}*{OLD}")):
        if not final.exists():
            with contextlib.suppress(OSError):
                old.rename(final)
                continue
        _keep_foreign(old, final, own_names)
        shutil.rmtree(old, ignore_errors=True)
    for stale in folders.abandoned(final.parent.glob(f"{beside}*{STAGED}")):
        shutil.rmtree(stale, ignore_errors=True)
