"""TopFormer for every target; and a scripted Pixel 7 as `--device adb:pixel7`, for all of bench that needs no Android."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgedeploy.benchmarks.devices.transports.scripted import ScriptedDevice
from edgedeploy.benchmarks.executors import device as on_device
from edgedeploy.core.artifact import Artifact
from tests.phones import need

from .exported import all_targets
from .scripted_phone import opened, pixel_of_this_machine
from .small_artifacts import convolution


@pytest.fixture(scope="session")
def topformer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    """topformer-tiny by target. An export of minutes, which tests may read and not change."""
    return all_targets(tmp_path_factory)


@pytest.fixture(scope="session")
def pixel_root(own_folders: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phone's world; what was brought to it stays from test to test."""
    need(["g++", "cmake", "ninja"])
    return tmp_path_factory.mktemp("pixel")


@pytest.fixture
def pixel(pixel_root: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedDevice:
    """At rest, whatever another test made of it."""
    for path in pixel_root.iterdir():
        if path.is_file():
            path.unlink()
        elif path.name != "data":
            shutil.rmtree(path)
    monkeypatch.setattr(on_device, "open_device", lambda text: opened(pixel_root))
    return pixel_of_this_machine(pixel_root)


@pytest.fixture
def small(tmp_path: Path) -> Artifact:
    """One convolution for ONNX Runtime."""
    return convolution(tmp_path / "small")
