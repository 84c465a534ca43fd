"""The programs that the emulated phone needs: all listed, and reported where one is missing or fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgedeploy.android_harness.emulated_phone.build import BUILD_TOOLS, HERE
from edgedeploy.android_harness.emulated_phone.phone import START_TOOLS
from edgedeploy.android_harness.emulated_phone.tools import PACKAGE_OF, call, require_tools
from edgedeploy.core.errors import DeviceError


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DeviceError, match="qemu-aarch64-static") as caught:
        require_tools(["qemu-aarch64-static", "unshare"], "starting")
    assert caught.value.hint == "apt-get install qemu-user-static util-linux"


def test_packages_txt_lists_what_a_minimal_debian_lacks() -> None:
    lines = (HERE.parent / "packages.txt").read_text().splitlines()
    listed = [line for line in lines if not line.startswith("#")]
    on_every_debian = {"apt", "bash", "coreutils", "tar", "util-linux"}
    assert {PACKAGE_OF[program] for program in (*BUILD_TOOLS, *START_TOOLS, "adb")} <= {*listed, *on_every_debian}
    assert listed == sorted(listed)


def test_a_failed_step_shows_the_end_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="sh exited with 4") as caught:
        call(["sh", "-c", "echo cannot find -lz >&2; exit 4"], log=tmp_path / "log")
    assert caught.value.details[-1] == "cannot find -lz"
    assert caught.value.hint == f"read {tmp_path / 'log'}"
