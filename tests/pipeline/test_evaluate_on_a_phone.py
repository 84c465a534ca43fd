"""evaluate on the emulated phone: the real runner behind the real adbd."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgedeploy
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from tests.labelled_data import artifact_of, exported_with_data
from tests.phones import need

pytestmark = [pytest.mark.timeout(900)]


def test_the_phone_reaches_what_this_machine_reaches(
    phone_device: RemoteDevice, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Eleven images in int8: the labels of the two machines' kernels are the same."""
    need(["aarch64-linux-gnu-g++", "cmake", "ninja"])
    folder: Path = exported_with_data(tmp_path_factory)
    artifact, data = artifact_of(folder, "classify"), folder / "classes"
    here = edgedeploy.evaluate(artifact, data, limit=11)
    there = edgedeploy.evaluate(artifact, data, limit=11, device=phone_device.address)
    assert [score.value for score in there.scores] == [score.value for score in here.scores]
    assert there.device != here.device
