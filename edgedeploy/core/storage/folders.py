"""Folders that live as long as their process, and the exchange of one folder for another.

A temporary folder is locked (flock) by the process that fills it. The lock ends with the process, however that ends, and
holds across containers that share a volume, where process numbers mean nothing. So a temporary folder that nobody holds was
left behind by a kill, and the next run removes it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

RENAME_EXCHANGE = 2
AT_FDCWD = -100
PRIVATE = re.compile(r"edgedeploy-tmp-[0-9a-f]{16}")

_held: dict[Path, int] = {}  # the folders of this process, and the descriptors that hold their locks
_swept: set[Path] = set()


def create_held(parent: Path, prefix: str, suffix: str = "") -> Path:
    """A new folder with a random name that only this user can enter, held by this process until `release`."""
    while True:
        folder = parent / f"{prefix}{secrets.token_hex(8)}{suffix}"
        folder.mkdir(mode=0o700)
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), folder.stat()):
                _held[folder] = descriptor
                return folder
        os.close(descriptor)  # another process took it for an abandoned one before it was locked


def release(folder: Path) -> None:
    """Removes a folder that this process holds, and whatever is in it."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder in _held:
        os.close(_held.pop(folder))


@contextlib.contextmanager
def detached(folder: Path) -> Iterator[None]:
    """A block in which a held folder stays locked, but is no longer one that `remove_held` removes; then it is let go."""
    descriptor = _held.pop(folder)
    try:
        yield
    finally:
        os.close(descriptor)


def remove_held() -> None:
    """Removes every folder that this process still fills; for one that is about to end without unwinding."""
    for folder in list(_held):
        shutil.rmtree(folder, ignore_errors=True)


def forget_held() -> None:
    """For a forked process: the folders of its parent are not its own, and it does not keep their locks."""
    while _held:
        os.close(_held.popitem()[1])


def remove_abandoned_private() -> None:
    """Removes the private folders of this user's processes that have ended without doing it themselves."""
    _swept.clear()
    private_parent()


def abandoned(folders: Iterable[Path]) -> Iterator[Path]:
    """Those that no process holds, each held while the caller has it; none where that cannot be found out."""
    for folder in folders:
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(descriptor), folder.stat()):
                    yield folder
            finally:
                os.close(descriptor)


@contextlib.contextmanager
def locked(parent: Path) -> Iterator[None]:
    """A block in which no other process of ours moves or removes a folder in `parent`; such a process is waited for."""
    descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def private_parent() -> Path:
    """Where private folders are made. The first call removes those of this user that a kill has left there."""
    parent = Path(tempfile.gettempdir())
    if parent not in _swept:
        _swept.add(parent)
        with contextlib.suppress(OSError):
            mine = [
                path
                for path in parent.iterdir()
                if PRIVATE.fullmatch(path.name) and path.lstat().st_uid == os.geteuid()
            ]
            for path in abandoned(mine):
                shutil.rmtree(path, ignore_errors=True)
    return parent


def exchange(one: Path, other: Path) -> bool:
    """Two existing paths change places in one step. False where the system or the file system cannot do that."""
    if sys.platform != "linux":
        return False
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOENT):
        return False
    raise OSError(number, os.strerror(number), str(other))
