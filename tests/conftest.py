"""One thread a process: the suite runs in as many processes as there are cores. One emulated phone a process, too."""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests.phones import adb_server, board, device, make_phone, own_places, phone, phone_device

__all__ = ["adb_server", "board", "device", "make_phone", "own_places", "phone", "phone_device"]
