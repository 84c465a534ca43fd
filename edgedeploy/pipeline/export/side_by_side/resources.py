"""How many targets are made at a time: cores and memory decide."""

from __future__ import annotations

import os
from pathlib import Path

MEMORY_OF_A_TARGET_BYTES = 2**30  # torch, a converter and its graphs; measured with the networks of the zoo
COPIES_OF_WEIGHTS = 8  # that a converter holds at its peak, beside that
CGROUP = Path("/sys/fs/cgroup")


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory_bytes() -> int | None:
    """Memory that processes could still take, of the machine or of the container; None where that cannot be found out."""
    found = []
    for line in _read(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemAvailable:"):
            found.append(int(line.split()[1]) * 1024)
    limit, used = _read(CGROUP / "memory.max").strip(), _read(CGROUP / "memory.current").strip()
    if limit.isdecimal() and used.isdecimal():
        found.append(max(0, int(limit) - int(used)))
    return min(found, default=None)


def jobs_for(targets: int, weights_bytes: int) -> int:
    """How many of these targets this machine makes at a time; at least 1."""
    free = free_memory_bytes()
    need = MEMORY_OF_A_TARGET_BYTES + COPIES_OF_WEIGHTS * weights_bytes
    fitting = targets if free is None else free // need
    return max(1, min(targets, cores(), fitting))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
