"""ExecuTorch's passes without the traces of what has not changed."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from edgedeploy.core.recipes import FP32, STATIC_INT8
from edgedeploy.exporters import to_executorch
from edgedeploy.exporters.process.executorch_passes import tracing_only_changes

from .small_network import SmallExports


def traces(folder: Path, int8: bool, within: AbstractContextManager[None], monkeypatch: pytest.MonkeyPatch) -> int:
    """Lowers the small network; returns how often the passes traced a graph."""
    from executorch.exir.pass_base import ExportPass

    count, trace = 0, ExportPass.call_submodule

    def counted(self: object, *args: object) -> object:
        nonlocal count
        count += 1
        return trace(self, *args)

    folder.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(ExportPass, "call_submodule", counted)
        patched.setattr(to_executorch, "tracing_only_changes", lambda: within)
        SmallExports(folder).lower("executorch", STATIC_INT8 if int8 else FP32)
    return count


@pytest.mark.parametrize("int8", [False, True], ids=["float", "int8"])
def test_fewer_traces_give_the_same_file(int8: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    all_of_them = traces(tmp_path / "all", int8, nullcontext(), monkeypatch)
    fewer = traces(tmp_path / "fewer", int8, tracing_only_changes(), monkeypatch)
    assert fewer < 0.7 * all_of_them
    files = [next((tmp_path / folder).glob("*.pte")).read_bytes() for folder in ("all", "fewer")]
    assert files[0] == files[1]
