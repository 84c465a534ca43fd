"""Fixed performance mode: switched on, logged, restored; not claimed where it is missing."""

from __future__ import annotations

import pytest

from edgedeploy.benchmarks.conditions import MeasurementConditions
from edgedeploy.benchmarks.conditions.session import apply_conditions
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.benchmarks.devices.transports.scripted import ScriptedDevice
from edgedeploy.core.device import ConditionLogEntry
from edgedeploy.core.errors import DeviceLost


def test_fixed_performance_is_switched_on_and_off_again(pixel: ScriptedDevice) -> None:
    with apply_conditions(pixel, pixel.describe(), MeasurementConditions()) as conditions:
        assert pixel.commands() == ["power set-fixed-performance-mode-enabled true"]
        assert conditions.restored == ()
    assert pixel.commands()[1:] == ["power set-fixed-performance-mode-enabled false"]
    assert conditions.log == (ConditionLogEntry("fixed performance mode", "done"),)
    assert conditions.restored == (ConditionLogEntry("fixed performance mode", "restored"),)


def test_fixed_performance_is_restored_after_an_error_and_after_ctrl_c(pixel: ScriptedDevice) -> None:
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), apply_conditions(pixel, pixel.describe(), MeasurementConditions()):
            raise error
        assert pixel.commands()[-1].endswith("false")


def test_fixed_performance_is_restored_when_ctrl_c_comes_before_the_phone_has_answered(
    pixel: ScriptedDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = RemoteDevice.ask

    def interrupted(self: RemoteDevice, script: str, *, timeout: float = 30.0) -> tuple[int, str]:
        answer = ask(self, script, timeout=timeout)
        if script.endswith("enabled true 2>&1"):
            raise KeyboardInterrupt
        return answer

    monkeypatch.setattr(RemoteDevice, "ask", interrupted)
    with pytest.raises(KeyboardInterrupt), apply_conditions(pixel, pixel.describe(), MeasurementConditions()):
        pass
    assert [line.split()[-1] for line in pixel.commands()] == ["true", "false"]


def test_a_phone_that_is_unplugged_is_logged_as_not_restored(pixel: ScriptedDevice) -> None:
    with apply_conditions(pixel, pixel.describe(), MeasurementConditions()) as conditions:
        pixel.write("unplugged", "")
        with pytest.raises(DeviceLost):
            conditions.before_run()
    assert conditions.log == (ConditionLogEntry("fixed performance mode", "done"),)
    assert conditions.restored == (
        ConditionLogEntry("fixed performance mode", "not restored: scripted:pixel7 is gone"),
    )


@pytest.mark.parametrize("reason", ["older", "refused"])
def test_a_missing_fixed_performance_mode_is_logged_as_not_available(pixel: ScriptedDevice, reason: str) -> None:
    if reason == "older":
        pixel.properties({"ro.build.version.sdk": "29"})
    else:
        pixel.write("cmd-refuses.txt", "Fixed performance mode is not supported\n")
    with apply_conditions(pixel, pixel.describe(), MeasurementConditions()) as conditions:
        pass
    assert conditions.log == (ConditionLogEntry("fixed performance mode", "not available"),)
    assert conditions.restored == ()
