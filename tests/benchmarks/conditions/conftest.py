"""A scripted Pixel 7, and a clock that waits without waiting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgedeploy.benchmarks.conditions.temperature import Clock
from edgedeploy.benchmarks.devices.transports.scripted import ScriptedDevice, pixel_7


@pytest.fixture
def pixel(tmp_path: Path) -> ScriptedDevice:
    return pixel_7(tmp_path / "a pixel's root")


class QuickClock(Clock):
    """Time that passes only by sleeping; `on_sleep` is called with the time after it."""

    def __init__(self) -> None:
        self.time = 0.0
        self.on_sleep: Callable[[float], None] = lambda time: None
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        self.slept.append(seconds)
        self.on_sleep(self.time)


@pytest.fixture
def clock() -> QuickClock:
    return QuickClock()
