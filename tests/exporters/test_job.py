from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn

from edgedeploy.core.errors import MissingExtra
from edgedeploy.exporters.job import SharedWork


def test_shared_work_is_made_once_for_a_network(tmp_path: Path) -> None:
    shared, first, second = SharedWork(tmp_path, tmp_path / "log"), nn.ReLU(), nn.ReLU()
    calls: list[str] = []

    def make() -> int:
        calls.append("made")
        return len(calls)

    assert [shared.once("onnx", first, make) for _ in range(2)] == [1, 1]
    assert shared.once("onnx", second, make) == 2
    assert shared.once("tflite", first, make) == 3


PRINTS = """
import os, sys
from pathlib import Path
from edgedeploy.exporters.process.quiet import quiet
print("before")
with quiet(Path(sys.argv[1])):
    print("from python")
    os.write(2, b"from C\\n")
    os.system("echo from a child")
print("after")
"""


def test_what_converters_print_goes_to_the_log_and_nothing_else_does(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", PRINTS, str(tmp_path / "log")], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("before\nafter\n", "")
    assert sorted((tmp_path / "log").read_text().splitlines()) == ["from C", "from a child", "from python"]


def test_a_missing_package_is_named_with_its_extra(tmp_path: Path) -> None:
    shared = SharedWork(tmp_path, tmp_path / "log")
    with pytest.raises(MissingExtra, match="no_such_package"), shared.importing("onnx", "exporting to ONNX"):
        import no_such_package  # type: ignore[import-not-found] # noqa: F401
