"""The measuring child, with a small real ONNX model: what it answers, and what it does when things go wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgedeploy.benchmarks.executors import RunOptions
from edgedeploy.benchmarks.executors.python_process import run_in_python
from edgedeploy.core.errors import RunnerFailed

ONCE = RunOptions(warmup_runs=0, num_runs=0)


@pytest.fixture(scope="module")
def doubles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """y = x + x."""
    value = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")}
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "doubles", [value["x"]], [value["y"]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    path = tmp_path_factory.mktemp("onnx") / "doubles.onnx"
    onnx.save(model, str(path))
    return path


def ones(value: float = 1.0) -> list[np.ndarray]:
    return [np.full((1, 4), value, np.float32)]


def test_every_sample_gets_its_own_outputs(doubles: Path) -> None:
    result = run_in_python("onnxruntime", doubles, [ones(1), ones(2), ones(3)], ONCE)
    assert [float(outputs[0][0, 0]) for outputs in result.outputs] == [2, 4, 6]
    assert result.samples_ns == ()


def test_the_counted_runs_are_as_many_as_asked_for(doubles: Path) -> None:
    result = run_in_python("onnxruntime", doubles, [ones()], RunOptions(num_runs=17, min_secs=0))
    assert len(result.samples_ns) == 17
    assert all(sample > 0 for sample in result.samples_ns)
    assert result.load_ns > 0
    assert result.first_inference_ns > 0
    assert result.peak_rss_bytes > 2**20


def test_min_secs_adds_runs_and_max_secs_ends_them(doubles: Path) -> None:
    longer = run_in_python("onnxruntime", doubles, [ones()], RunOptions(num_runs=1, min_secs=0.2))
    assert sum(longer.samples_ns[:-1]) < 0.2e9  # the last one may begin before the time is up and end after it
    assert len(longer.samples_ns) > 100
    shorter = run_in_python("onnxruntime", doubles, [ones()], RunOptions(num_runs=10**9, min_secs=0, max_secs=0.2))
    assert 1 <= len(shorter.samples_ns) < 10**9


def test_the_process_that_asks_imports_no_runtime(doubles: Path) -> None:
    code = (
        "import sys, numpy\nfrom pathlib import Path\n"
        "from edgedeploy.benchmarks.executors import RunOptions\n"
        "from edgedeploy.benchmarks.executors.python_process import run_in_python\n"
        "x = numpy.ones((1, 4), numpy.float32)\n"
        "run_in_python('onnxruntime', Path(sys.argv[1]), [[x]], RunOptions(num_runs=0))\n"
        "print(sorted({'torch', 'onnxruntime'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(doubles)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_damaged_file_is_an_error_with_the_runtimes_message(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(RunnerFailed, match=r"onnxruntime could not load .*model\.onnx"):
        run_in_python("onnxruntime", tmp_path / "model.onnx", [ones()], ONCE)


def test_an_input_of_the_wrong_shape_is_an_error(doubles: Path) -> None:
    with pytest.raises(RunnerFailed, match="could not run"):
        run_in_python("onnxruntime", doubles, [[np.zeros((1, 5), np.float32)]], ONCE)


def test_a_runtime_that_dies_is_an_error_with_its_signal(doubles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = subprocess.Popen

    def start_and_kill(*args, **kwargs):
        process = start(*args, **kwargs)
        os.kill(process.pid, signal.SIGSEGV)
        return process

    monkeypatch.setattr(subprocess, "Popen", start_and_kill)
    with pytest.raises(RunnerFailed, match="onnxruntime was killed by SIGSEGV"):
        run_in_python("onnxruntime", doubles, [ones()], ONCE)
