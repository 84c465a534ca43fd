"""Files that are never half-written, and their hashes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgedeploy.core.errors import OutputFailed


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def explain_os_error(error: OSError) -> OutputFailed:
    """An error of the operating system that nobody expected, in words."""
    return explain(Path(error.filename or "."), error)


def explain(path: Path, error: OSError) -> OutputFailed:
    """What the operating system refused, in words, and what to do about it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
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
    """Writes a file under a temporary name beside it, then renames: readers see the old file or the whole new one."""
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Finds out before the work whether its result could be written. Raises OutputFailed."""
    existing = folder.absolute()
    with output_errors(folder):
        while not existing.exists():
            existing = existing.parent
        if not existing.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(existing))
        probe = existing / f".edgedeploy-{secrets.token_hex(4)}.tmp"
        probe.touch()
        probe.unlink()


_UNFINISHED: set[Path] = set()


def remove_unfinished() -> None:
    """Removes every folder that is still being filled; for a process that is about to end without unwinding."""
    for folder in list(_UNFINISHED):
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that only this user can read, gone after the block."""
    folder = Path(tempfile.mkdtemp(prefix="edgedeploy-"))
    _UNFINISHED.add(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _UNFINISHED.discard(folder)


@contextlib.contextmanager
def staged_folder(final: Path) -> Iterator[Path]:
    """A private folder that becomes `final` when the block ends well, and is gone when it does not.

    An older `final` stays as it is until the new one is complete. What a killed process left behind goes first.
    """
    with output_errors(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(final)
        stage = final.with_name(f".{final.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
        stage.mkdir(mode=0o700)
        _UNFINISHED.add(stage)
    try:
        yield stage
        with output_errors(final):
            stage.chmod(0o755)
            for file in stage.iterdir():  # folders and links as they are; a program stays a program
                if file.is_file() and not file.is_symlink():
                    file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
            if final.exists():
                old = final.with_name(f".{final.name}.{secrets.token_hex(4)}.old")
                final.rename(old)
                stage.rename(final)
                shutil.rmtree(old, ignore_errors=True)
            else:
                stage.rename(final)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        _UNFINISHED.discard(stage)


def _remove_abandoned(final: Path) -> None:
    for stale in final.parent.glob(f".{final.name}.*.tmp"):
        pid = stale.name.removeprefix(f".{final.name}.").split("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
            shutil.rmtree(stale, ignore_errors=True)
