"""Where built and downloaded things are kept, and one builder at a time."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import platformdirs
from filelock import FileLock

from .files import output_errors


def cache_folder(kind: str) -> Path:
    """The folder for one kind of cached thing: below $EDGEDEPLOY_CACHE_DIR, else below the user's cache folder."""
    given = os.environ.get("EDGEDEPLOY_CACHE_DIR")
    try:
        root = Path(given) if given else platformdirs.user_cache_path("edgedeploy")
    except RuntimeError:  # a user without a home folder, as containers have them
        return _temporary_cache() / kind
    if (root.is_absolute() or given) and ((root / kind).is_dir() or _can_be_made(root)):
        return root / kind
    return _temporary_cache() / kind  # no home folder, or one that cannot be written


def _can_be_made(folder: Path) -> bool:
    existing = folder.absolute()
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def _temporary_cache() -> Path:
    """A folder among the temporary ones that belongs to this user alone."""
    folder = Path(tempfile.gettempdir()) / f"edgedeploy-cache-{os.geteuid()}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022:
            return folder
    return Path(tempfile.mkdtemp(prefix="edgedeploy-cache-"))


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock beside `path`: of several processes that would make it, one does and the others find it made."""
    if path.exists() and not os.access(path.parent, os.W_OK):
        yield  # made by somebody else, in a cache that is only read
        return
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f".{path.name}.lock"), mode=0o600)
        lock.acquire()
    with lock:
        lock.release()  # `with` acquired it once more
        yield


def key_of(parts: Iterable[str]) -> str:
    """A short name for what was made from these parts: equal parts, equal name."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()[:16]


def text_of_sources(folder: Path, pattern: str = "*") -> list[str]:
    """Names and contents of the source files in a folder, for `key_of`."""
    files = [file for file in sorted(folder.glob(pattern)) if file.is_file()]
    return [part for file in files for part in (file.name, file.read_text(encoding="utf-8"))]
