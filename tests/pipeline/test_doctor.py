"""doctor: packages and programs, and when a finding is a failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgedeploy.core.backends import BACKENDS
from edgedeploy.pipeline import doctor
from edgedeploy.pipeline.doctor import Check, any_failed, run_checks


def test_every_package_of_every_backend_is_checked() -> None:
    names = [check.name for check in run_checks()]
    assert names[:2] == ["python", "torch"]
    assert {package.name for backend in BACKENDS for package in backend.packages} < set(names)


def test_a_missing_package_names_its_extra_and_purpose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "versions", lambda: {"python": "3.11"})
    checks = {check.name: check for check in run_checks()}
    assert checks["torchao"] == Check(
        "torchao", None, "not installed", "pip install 'edgedeploy[executorch]' for targets executorch-*"
    )
    assert checks["torch"].hint.startswith("pip install 'edgedeploy[torch]'")


def test_a_missing_program_names_its_debian_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    checks = {check.name: check for check in run_checks()}
    assert (checks["ninja"].ok, checks["ninja"].hint) == (
        None, "apt-get install ninja-build: building the native runner",
    )  # fmt: skip


def test_a_folder_that_cannot_be_written_is_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    (check,) = [check for check in run_checks(tmp_path / "artifacts") if check.name == f"folder {tmp_path}"]
    assert check.ok is False
    assert "--output DIR" in check.hint


def test_only_what_is_required_fails() -> None:
    assert not any_failed([Check("a", True, ""), Check("b", None, ""), Check("load", False, "", required=False)])
    assert any_failed([Check("memory", False, "")])
