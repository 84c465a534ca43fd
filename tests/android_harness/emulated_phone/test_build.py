"""The emulated phone's build: cached, and in the folder that the user chose."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from edgedeploy.android_harness.emulated_phone import EmulatedPhone, build, build_emulated_phone


def test_a_warm_build_needs_no_network_and_no_time(phone: EmulatedPhone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "fetch_source", lambda *a: pytest.fail("a warm build fetched sources"))
    start = time.monotonic()
    assert build_emulated_phone().is_dir()
    assert time.monotonic() - start < 1


def test_the_build_is_kept_in_the_cache_folder_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEDEPLOY_CACHE_DIR", str(tmp_path))
    assert build.phone_root().parent == tmp_path / "phone"
