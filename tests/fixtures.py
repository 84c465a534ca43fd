"""Fixtures for all tests: TopFormer for every target, a small artifact, a scripted Pixel 7 as `--device adb:pixel7`.

The converters are imported by the fixtures that need them: every test imports this file.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgedeploy.benchmarks.devices import TRANSPORTS
from edgedeploy.benchmarks.devices.transports.scripted import ScriptedDevice
from edgedeploy.core.artifact import Artifact

from .phones import need
from .scripted_phone import connection, pixel_of_this_machine

__all__ = ["pixel", "pixel_root", "small", "topformer"]


@pytest.fixture(scope="session")
def topformer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    """topformer-tiny by target. An export of minutes, which tests may read and not change."""
    from .exported import all_targets

    return all_targets(tmp_path_factory)


@pytest.fixture(scope="session")
def pixel_root(own_folders: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phone's files; what was pushed to it stays from test to test."""
    need(["g++", "cmake", "ninja"])
    return tmp_path_factory.mktemp("pixel")


@pytest.fixture
def pixel(pixel_root: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedDevice:
    """At rest, whatever an earlier test did to it."""
    for path in pixel_root.iterdir():
        if path.is_file():
            path.unlink()
        elif path.name != "data":
            shutil.rmtree(path)
    monkeypatch.setitem(TRANSPORTS, "adb", lambda name: connection(pixel_root))
    return pixel_of_this_machine(pixel_root)


@pytest.fixture
def small(tmp_path: Path) -> Artifact:
    """One convolution for ONNX Runtime."""
    from .small_artifacts import convolution

    return convolution(tmp_path / "small")
