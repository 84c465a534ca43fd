"""Where built and downloaded things are kept, and one builder at a time."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import platformdirs
from filelock import FileLock

from .files import output_errors


def cache_folder(kind: str) -> Path:
    """The folder for one kind of cached thing: below $EDGEDEPLOY_CACHE_DIR, else below the user's cache folder."""
    root = os.environ.get("EDGEDEPLOY_CACHE_DIR")
    return (Path(root) if root else platformdirs.user_cache_path("edgedeploy")) / kind


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock beside `path`: of several processes that would make it, one does and the others find it made."""
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
    return [part for file in sorted(folder.glob(pattern)) if file.is_file() for part in (file.name, file.read_text())]
