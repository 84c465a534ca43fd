"""What devices report about themselves, parsed."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgedeploy.benchmarks.devices.host import describe_host
from edgedeploy.benchmarks.devices.queries import parse_state
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.benchmarks.devices.transports.scripted import PIXEL_7_CLOCKS_KHZ, ScriptedDevice, pixel_7
from edgedeploy.core.device import Core, hottest_c

PIXEL_CORES = tuple(Core(number, clock) for number, clock in enumerate(PIXEL_7_CLOCKS_KHZ))


@pytest.fixture
def pixel(tmp_path: Path) -> ScriptedDevice:
    return pixel_7(tmp_path / "a pixel's root")


def test_a_pixel_describes_itself(pixel: ScriptedDevice) -> None:
    info = pixel.describe()
    assert (info.manufacturer, info.model, info.soc, info.api_level) == ("Google", "Pixel 7", "Tensor G2", 34)
    assert (info.os, info.abis) == ("Android 14", ("arm64-v8a",))
    assert (info.display_name, info.display_os) == ("Google Pixel 7", "Android 14 (API 34)")
    assert info.cores == PIXEL_CORES


def test_a_pixel_reports_its_state(pixel: ScriptedDevice) -> None:
    state = pixel.read_state()
    assert (state.battery_percent, state.battery_temperature_c) == (87, 28.4)
    assert (state.plugged, state.screen_on) == (True, False)
    assert state.thermal_status == 0
    # the current temperatures, not the cached ones; a sensor at 0 is none
    assert state.temperatures_c == {"BIG": 31.2, "VIRTUAL-SKIN": 26.2}
    assert state.frequencies_khz == {core.number: core.max_khz for core in PIXEL_CORES}
    assert state.governors == dict.fromkeys(range(8), "sched_pixel")


def test_the_emulated_phone_reports_none_of_it(phone_device: RemoteDevice) -> None:
    state = phone_device.read_state()
    assert (state.battery_percent, state.battery_temperature_c, state.plugged) == (None, None, None)
    assert (state.screen_on, state.thermal_status) == (None, None)


def test_the_kernels_thermal_zones_are_used_where_there_is_no_thermal_service() -> None:
    state = parse_state("@@ zones\n45200 cpu-0-0-usr\n-40000 unplugged\n0 off\n31000 battery\n", 1.0)
    assert state.temperatures_c == {"cpu-0-0-usr": 45.2, "battery": 31.0}
    assert hottest_c(state) == 45.2
    assert state.thermal_status is None


def test_this_machine_describes_itself() -> None:
    machine = describe_host()
    assert machine.kind == "local"
    assert machine.model
    assert machine.abi
    assert machine.cores
