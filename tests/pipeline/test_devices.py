from __future__ import annotations

import pytest

from edgedeploy.benchmarks import devices
from edgedeploy.core.errors import DeviceError
from edgedeploy.pipeline.devices import list_devices
from tests.reporters import NoteReporter


def test_an_adb_that_does_not_answer_is_one_line_and_hides_no_other_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def find() -> None:
        raise DeviceError("`adb devices -l` did not answer in 30 s", hint="adb kill-server, then again")

    monkeypatch.setattr(devices, "list_devices", find)
    reporter = NoteReporter()
    assert [row.device for row in list_devices(reporter)] == ["local", "qemu"]
    (note,) = reporter.notes
    assert note == "phones cannot be listed: `adb devices -l` did not answer in 30 s; try adb kill-server, then again"
