"""Waiting for the start temperature, and cooldown."""

from __future__ import annotations

import pytest

from edgedeploy.benchmarks.conditions import MeasurementConditions
from edgedeploy.benchmarks.conditions.session import Conditions
from edgedeploy.benchmarks.devices.transports.scripted import ScriptedDevice
from edgedeploy.core.device import ConditionLogEntry, DeviceState, hottest_c
from edgedeploy.core.errors import DeviceTooHot

from .conftest import QuickClock


def test_the_hottest_sensor_is_one_of_the_processor_else_the_battery() -> None:
    sensors = {"cpu-0-0-usr": 45.2, "battery": 61.0}
    assert hottest_c(DeviceState(1.0, temperatures_c=sensors, battery_temperature_c=30.0)) == 45.2
    assert hottest_c(DeviceState(1.0, temperatures_c={"skin": 40.0}, battery_temperature_c=30.0)) == 30.0
    assert hottest_c(DeviceState(1.0)) is None


def test_a_run_starts_when_the_phone_has_cooled_down(pixel: ScriptedDevice, clock: QuickClock) -> None:
    pixel.heat(status=0, big_c=52.0)
    clock.on_sleep = lambda time: pixel.heat(status=0, big_c=52.0 - time)
    conditions = Conditions(pixel, MeasurementConditions(max_start_temperature_c=40.0))
    notes: list[str] = []
    state = conditions.before_run(notes.append, clock)
    assert state.temperatures_c is not None
    assert state.temperatures_c["BIG"] == 37.0
    assert clock.slept == [5.0, 5.0, 5.0]
    assert notes[0] == "waiting for 40 °C, now 52.0 °C"
    assert conditions.log == (ConditionLogEntry("start temperature", "37.0 °C"),)


def test_a_phone_that_stays_hot_is_an_error_after_the_timeout(pixel: ScriptedDevice, clock: QuickClock) -> None:
    pixel.heat(status=2, big_c=61.0)
    conditions = Conditions(pixel, MeasurementConditions(max_start_temperature_c=40.0, start_timeout_s=30.0))
    with pytest.raises(DeviceTooHot, match=r"at 61\.0 °C after 30 s of waiting"):
        conditions.before_run(clock=clock)


def test_cooldown_pauses_before_every_run_but_the_first(pixel: ScriptedDevice, clock: QuickClock) -> None:
    conditions = Conditions(pixel, MeasurementConditions(cooldown_s=60.0))
    for _ in range(3):
        conditions.before_run(clock=clock)
    assert clock.slept == [60.0, 60.0]
