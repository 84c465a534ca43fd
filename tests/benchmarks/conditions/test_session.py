"""The conditions as a whole: what a device lacks is logged as not available; its state is read while a command runs."""

from __future__ import annotations

from edgedeploy.benchmarks.conditions import MeasurementConditions
from edgedeploy.benchmarks.conditions.samples import throttled_samples
from edgedeploy.benchmarks.conditions.session import Conditions, ThermalWatch, apply_conditions
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.benchmarks.devices.transports.scripted import ScriptedDevice
from edgedeploy.core.device import ConditionLogEntry


def test_the_emulated_phone_has_no_modes_and_no_temperature_and_the_log_reports_it(phone_device: RemoteDevice) -> None:
    info = phone_device.describe()
    options = MeasurementConditions(cores="big", max_start_temperature_c=30)
    with apply_conditions(phone_device, info, options) as conditions:
        assert (conditions.mask is None) == any(core.max_khz is None for core in info.cores)
        conditions.before_run()
    assert ConditionLogEntry("fixed performance mode", "not available") in conditions.log
    assert ConditionLogEntry("start temperature", "not available") in conditions.log


def test_a_row_has_the_start_temperatures_of_its_own_runs(pixel: ScriptedDevice) -> None:
    conditions = Conditions(pixel, MeasurementConditions(max_start_temperature_c=40.0))
    conditions.log_setup("cores big", "mask c0")
    for _ in range(2):
        conditions.begin_row()
        conditions.before_run()
        assert [entry.name for entry in conditions.log] == ["cores big", "start temperature"]


def test_a_watch_reads_the_heat_while_a_command_runs(pixel: ScriptedDevice) -> None:
    with ThermalWatch(pixel, interval_s=0.1) as watch:
        pixel.run(["sh", "-c", "echo 1; sleep 0.3"], on_line=lambda line: pixel.heat(status=3, big_c=90.0))
    assert watch.readings[0].thermal_status == 0
    assert watch.readings[-1].thermal_status == 3
    assert len(watch.readings) >= 3
    assert throttled_samples([watch.readings[-1].host_time_s], watch.readings) == [True]


def test_a_watched_phone_that_goes_away_ends_the_readings_only(pixel: ScriptedDevice) -> None:
    with ThermalWatch(pixel, interval_s=0.05) as watch:
        pixel.write("unplugged", "")
        pixel.root.joinpath("x").write_text("")
    assert [reading.thermal_status for reading in watch.readings] == [0]
