"""The measurement conditions that a caller asks for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MeasurementConditions:
    """Under which conditions a measurement is made.

    Attributes:
        cores: "big", "little", "all", or a hexadecimal mask such as "f0", lowest bit for core 0.
        fixed_performance: Android's mode that holds the clock frequencies at a level that the phone can sustain.
        max_start_temperature_c: wait before each run until the hottest sensor of the processor is at most this.
        start_timeout_s: how long to wait for it.
        cooldown_s: pause before each run but the first.
    """

    cores: str = "all"
    fixed_performance: bool = True
    max_start_temperature_c: float | None = None
    start_timeout_s: float = 300.0
    cooldown_s: float = 0.0
