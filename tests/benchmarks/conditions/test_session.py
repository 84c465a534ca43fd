"""Fair conditions: asked for, recorded, undone; what a device lacks is not made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgedeploy.benchmarks.conditions.session import (
    Clock,
    Conditions,
    MeasurementConditions,
    Step,
    Watch,
    core_mask,
    fair_conditions,
    hottest_c,
    slowed_samples,
    throttled_samples,
)
from edgedeploy.benchmarks.devices.base import Core, DeviceState
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.benchmarks.devices.state import parse_state, read_state
from edgedeploy.benchmarks.devices.transports.scripted import ScriptedDevice, pixel_7
from edgedeploy.core.errors import DeviceLost, DeviceTooHot, UsageError

PIXEL_CORES = tuple(Core(number, clock) for number, clock in enumerate([1803000] * 4 + [2348000] * 2 + [2850000] * 2))


@pytest.fixture
def pixel(tmp_path: Path) -> ScriptedDevice:
    return pixel_7(tmp_path / "a pixel's root")


class QuickClock(Clock):
    """Waits without waiting; `each` is called with the seconds slept."""

    def __init__(self, each: object = None) -> None:
        self.time, self.each = 0.0, each
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        self.slept.append(seconds)
        if callable(self.each):
            self.each(self.time)


def test_a_pixel_describes_itself(pixel: ScriptedDevice) -> None:
    info = pixel.describe()
    assert (info.manufacturer, info.model, info.soc, info.api_level) == ("Google", "Pixel 7", "Tensor G2", 34)
    assert (info.system, info.abis) == ("Android 14", ("arm64-v8a",))
    assert info.cores == PIXEL_CORES


def test_a_pixel_tells_its_state(pixel: ScriptedDevice) -> None:
    state = read_state(pixel)
    assert (state.battery_percent, state.battery_temperature_c, state.plugged, state.screen_on) == (
        87,
        28.4,
        True,
        False,
    )
    assert state.thermal_status == 0
    assert state.temperatures_c == {
        "BIG": 31.2,
        "VIRTUAL-SKIN": 26.2,
    }  # those now, not the cached; a sensor at 0 is none
    assert state.frequencies_khz == {core.number: core.max_khz for core in PIXEL_CORES}
    assert state.governors == dict.fromkeys(range(8), "sched_pixel")


def test_the_emulated_phone_has_none_of_it_and_says_so(phone_device: RemoteDevice) -> None:
    state = read_state(phone_device)
    told = (state.battery_percent, state.battery_temperature_c, state.plugged, state.screen_on, state.thermal_status)
    assert told == (None,) * 5
    info = phone_device.describe()
    with fair_conditions(
        phone_device, info, MeasurementConditions(cores="big", max_start_temperature_c=30)
    ) as conditions:
        assert (conditions.mask is None) == any(core.max_khz is None for core in info.cores)
        conditions.before_row()
    assert Step("fixed performance mode", "not available") in conditions.steps


def test_zones_of_the_kernel_stand_in_for_the_thermal_service() -> None:
    state = parse_state("@@ zones\n45200 cpu-0-0-usr\n-40000 unplugged\n0 off\n31000 battery\n", 1.0)
    assert state.temperatures_c == {"cpu-0-0-usr": 45.2, "battery": 31.0}
    assert hottest_c(state) == 45.2
    assert state.thermal_status is None


@pytest.mark.parametrize(
    ("wanted", "mask"), [("big", 0xC0), ("little", 0x0F), ("all", None), ("30", 0x30), ("0xf0", 0xF0), ("1", 1)]
)
def test_cores_are_chosen_by_their_top_clock(wanted: str, mask: int | None) -> None:
    assert core_mask(PIXEL_CORES, wanted) == mask


@pytest.mark.parametrize("wanted", ["huge", "0", "1ff", "-1", ""])
def test_a_mask_that_cannot_be_is_refused(wanted: str) -> None:
    with pytest.raises(UsageError, match="--cores"):
        core_mask(PIXEL_CORES, wanted)


def test_of_cores_that_tell_no_clock_none_is_called_big() -> None:
    assert core_mask((Core(0), Core(1)), "big") is None
    assert core_mask((Core(0, 1000), Core(1, 1000)), "big") == 3
    with pytest.raises(UsageError, match="no little cores"):
        core_mask((Core(0, 1000), Core(1, 1000)), "little")


def test_a_pinned_command_runs_under_taskset_with_the_mask_in_hexadecimal(pixel: ScriptedDevice) -> None:
    with fair_conditions(pixel, pixel.describe(), MeasurementConditions(cores="big")) as conditions:
        assert pixel.run(conditions.pinned(["echo", "ran"])).stdout == "ran\n"
    assert (pixel.root / "taskset.log").read_text() == "c0\n"


def test_the_emulated_phone_knows_taskset(phone_device: RemoteDevice) -> None:
    conditions = Conditions(phone_device, MeasurementConditions(), mask=1)
    result = phone_device.run(conditions.pinned(["grep", "Cpus_allowed:", "/proc/self/status"]))
    assert result.exit_code == 0, result.stderr
    assert int(result.stdout.split()[1].replace(",", ""), 16) == 1


def test_fixed_performance_is_switched_on_and_off_again(pixel: ScriptedDevice) -> None:
    with fair_conditions(pixel, pixel.describe(), MeasurementConditions()) as conditions:
        assert pixel.commands() == ["power set-fixed-performance-mode-enabled true"]
    assert pixel.commands()[1:] == ["power set-fixed-performance-mode-enabled false"]
    assert conditions.steps == [Step("fixed performance mode", "done")]
    assert conditions.restored == [Step("fixed performance mode", "undone")]


def test_fixed_performance_is_undone_after_an_error_and_after_ctrl_c(pixel: ScriptedDevice) -> None:
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), fair_conditions(pixel, pixel.describe(), MeasurementConditions()):
            raise error
        assert pixel.commands()[-1].endswith("false")


def test_fixed_performance_is_undone_when_ctrl_c_comes_before_the_phone_has_answered(
    pixel: ScriptedDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = RemoteDevice.ask

    def interrupted(self, script: str, **options: float) -> tuple[int, str]:
        answer = ask(self, script, **options)
        if script.endswith("enabled true 2>&1"):
            raise KeyboardInterrupt
        return answer

    monkeypatch.setattr(RemoteDevice, "ask", interrupted)
    with pytest.raises(KeyboardInterrupt), fair_conditions(pixel, pixel.describe(), MeasurementConditions()):
        pass
    assert [line.split()[-1] for line in pixel.commands()] == ["true", "false"]


def test_a_phone_unplugged_in_between_loses_nothing_but_the_undoing(pixel: ScriptedDevice) -> None:
    with fair_conditions(pixel, pixel.describe(), MeasurementConditions()) as conditions:
        pixel.write("unplugged", "")
        with pytest.raises(DeviceLost):
            conditions.before_row()
    assert conditions.steps == [Step("fixed performance mode", "done")]
    assert conditions.restored == [Step("fixed performance mode", "not restored: scripted:pixel7 is gone")]


@pytest.mark.parametrize("reason", ["older", "refused"])
def test_where_fixed_performance_is_missing_it_is_not_claimed(pixel: ScriptedDevice, reason: str) -> None:
    if reason == "older":
        pixel.properties({"ro.build.version.sdk": "29"})
    else:
        pixel.write("cmd-refuses.txt", "Fixed performance mode is not supported\n")
    with fair_conditions(pixel, pixel.describe(), MeasurementConditions()) as conditions:
        pass
    assert conditions.steps == [Step("fixed performance mode", "not available")]
    assert conditions.restored == []


def test_a_row_starts_when_the_phone_has_cooled_down(pixel: ScriptedDevice) -> None:
    pixel.heat(status=0, big_c=52.0)
    clock = QuickClock(each=lambda time: pixel.heat(status=0, big_c=52.0 - time))
    conditions = Conditions(pixel, MeasurementConditions(max_start_temperature_c=40.0), mask=None)
    said: list[str] = []
    state = conditions.before_row(said.append, clock)
    assert state.temperatures_c is not None
    assert state.temperatures_c["BIG"] == 37.0
    assert clock.slept == [5.0, 5.0, 5.0]
    assert said[0] == "waiting for 40 °C, now 52.0 °C"
    assert conditions.steps == [Step("start temperature", "37.0 °C")]


def test_a_phone_that_stays_hot_is_given_up(pixel: ScriptedDevice) -> None:
    pixel.heat(status=2, big_c=61.0)
    conditions = Conditions(pixel, MeasurementConditions(max_start_temperature_c=40.0, start_timeout_s=30.0), mask=None)
    with pytest.raises(DeviceTooHot, match=r"at 61\.0 °C after 30 s of waiting"):
        conditions.before_row(clock=QuickClock())


def test_cooldown_pauses_before_every_row_but_the_first(pixel: ScriptedDevice) -> None:
    conditions = Conditions(pixel, MeasurementConditions(cooldown_s=60.0), mask=None)
    clock = QuickClock()
    for _ in range(3):
        conditions.before_row(clock=clock)
    assert clock.slept == [60.0, 60.0]


def state_at(time: float, status: int | None) -> DeviceState:
    return DeviceState(time, thermal_status=status)


def test_samples_beside_a_throttled_reading_are_marked() -> None:
    readings = [state_at(0, 0), state_at(10, 0), state_at(20, 2), state_at(30, 0), state_at(40, 0)]
    assert throttled_samples([5, 15, 25, 35, 45], readings) == [False, True, True, False, False]


def test_without_a_thermal_status_no_sample_is_called_cool() -> None:
    assert throttled_samples([1, 2], [state_at(0, None), state_at(5, None)]) is None


def test_samples_on_a_core_below_its_clock_are_marked() -> None:
    clocks = [(2850000, 2850000), (2850000, 2000000), (None, None), (1803000, 1803000), (2850000, None)]
    assert slowed_samples(clocks, [7, 7, 7, 0, None], PIXEL_CORES) == [False, True, None, False, None]


def test_a_watch_sees_the_heat_come_while_a_command_runs(pixel: ScriptedDevice) -> None:
    with Watch(pixel, interval_s=0.1) as watch:
        pixel.run(["sh", "-c", "echo 1; sleep 0.3"], on_line=lambda line: pixel.heat(status=3, big_c=90.0))
    assert watch.readings[0].thermal_status == 0
    assert watch.readings[-1].thermal_status == 3
    assert len(watch.readings) >= 3
    assert watch.throttled([watch.readings[-1].host_time_s]) == [True]


def test_a_watched_phone_that_goes_away_ends_the_watching_only(pixel: ScriptedDevice) -> None:
    with Watch(pixel, interval_s=0.05) as watch:
        pixel.write("unplugged", "")
        pixel.root.joinpath("x").write_text("")
    assert [reading.thermal_status for reading in watch.readings] == [0]
