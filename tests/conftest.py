"""One thread a process: the suite runs in as many processes as there are cores. One emulated phone a process, too."""

from __future__ import annotations

import gc
import os
import signal

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from xdist.scheduler import LoadFileScheduling

from tests.fixtures import pixel, pixel_root, small, topformer
from tests.phones import adb_server, board, device, make_phone, own_folders, phone, phone_device

__all__ = [
    "adb_server",
    "board",
    "device",
    "make_phone",
    "own_folders",
    "phone",
    "phone_device",
    "pixel",
    "pixel_root",
    "small",
    "topformer",
]

# Converters make millions of objects that live long: with Python's own thresholds the collector took 8 % of an export.
gc.set_threshold(100_000, 20, 50)

# A script's background job ignores Ctrl-C, and so would every program that is started here to be interrupted.
signal.signal(signal.SIGINT, signal.default_int_handler)

SPREAD = "test_smallest_of_each_family.py"  # its tests share nothing and take a minute each
# What takes longest comes first, so that at the end no process works while the others have nothing left.
LONGEST_FIRST = (SPREAD, "tests/pipeline/", "tests/cli/", "tests/benchmarks/", "tests/android_harness/")


class FilesButSpread(LoadFileScheduling):
    """A file's tests stay in one process, where they share exports; those of SPREAD are handed out one by one."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if SPREAD in nodeid else str(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FilesButSpread | None:
    return FilesButSpread(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        return next((i for i, part in enumerate(LONGEST_FIRST) if part in item.nodeid), len(LONGEST_FIRST))

    items.sort(key=rank)
