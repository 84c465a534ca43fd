"""runner build: one bundle for each backend."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgedeploy.android_harness import bundles
from edgedeploy.android_harness.bundles import Bundle
from edgedeploy.core.backends import BACKENDS
from edgedeploy.core.errors import UsageError
from edgedeploy.pipeline.runner import RunnerBundle, build_runners


def test_every_backend_gets_a_bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "edgedeploy_runner").write_bytes(b"1234")
    monkeypatch.setattr(bundles, "build_bundle", lambda runtime, abi: Bundle(runtime, abi, "1.0", tmp_path))
    rows = build_runners("arm64")
    assert [row.runtime for row in rows] == [backend.runtime for backend in BACKENDS]
    assert rows[0] == RunnerBundle("onnxruntime", "1.0", "arm64", 4, str(tmp_path))


def test_an_unknown_abi_is_refused_with_the_two_that_there_are() -> None:
    with pytest.raises(UsageError, match="unknown ABI 'mips'") as raised:
        build_runners("mips")
    assert raised.value.hint == "--abi arm64 or x86-64"
