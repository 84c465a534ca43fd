"""The native runner on this machine, with real models in all three runtimes, and its errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import numpy as np
import pytest

from edgedeploy.android_harness.bundles import Bundle, build_bundle
from edgedeploy.android_harness.host_runner import ENVIRONMENT, HostRunOptions, run_on_host
from edgedeploy.android_harness.protocol import RunRequest
from edgedeploy.android_harness.runner_overhead import measure_overhead
from edgedeploy.android_harness.tensor_files import write_tensors
from edgedeploy.android_harness.toolchain import HOST_ABI
from edgedeploy.core.backends import BY_RUNTIME
from edgedeploy.core.errors import RunnerFailed

from . import tiny_models

FEW = RunRequest(warmup_runs=2, num_runs=5)
ONE = [[np.zeros(1, np.float32)]]


def host(runtime: str) -> Bundle:
    return build_bundle(runtime, HOST_ABI)


def test_outputs_are_those_of_the_python_runtime(artifact):
    run = run_on_host(host(artifact.runtime), artifact.path, [artifact.inputs], FEW)
    assert len(run.outputs[0]) == len(artifact.outputs) == 2
    for native, python in zip(run.outputs[0], artifact.outputs, strict=True):
        assert native.dtype == python.dtype
        np.testing.assert_allclose(native, python, rtol=0, atol=1e-5)


def test_an_answer_has_everything_that_the_protocol_specifies(artifact):
    answer = run_on_host(host(artifact.runtime), artifact.path, [artifact.inputs], FEW).answer
    assert (answer.runtime, answer.abi, answer.threads) == (artifact.runtime, HOST_ABI, 1)
    assert [len(answer.first), len(answer.warmup), len(answer.runs)] == [1, 2, 5]
    assert [tensor.shape for tensor in answer.inputs] == [(1, 8, 16, 16)]
    assert [tensor.shape for tensor in answer.outputs] == [(1, 16, 16, 16), (1, 8)]
    assert min(answer.runs.ns) > 0
    assert answer.load_ns > 0
    assert list(answer.runs.start_ns) == sorted(answer.runs.start_ns)
    assert (answer.peak_rss_bytes or 0) > (answer.peak_rss_start_bytes or 0) > 0
    assert set(answer.runs.cpu_before + answer.runs.cpu_after) <= os.sched_getaffinity(0)


def test_the_version_is_that_of_the_library(onnx_artifact):
    import onnxruntime

    bundle = host("onnxruntime")
    answer = run_on_host(bundle, onnx_artifact.path, [onnx_artifact.inputs], FEW).answer
    assert answer.runtime_version == bundle.version == onnxruntime.__version__


def test_each_set_of_inputs_has_its_outputs(artifact):
    sets = [[value * factor for value in artifact.inputs] for factor in (1, 0, -2)]
    outputs = run_on_host(host(artifact.runtime), artifact.path, sets, FEW).outputs
    means = [one_set[1] for one_set in outputs]
    for factor, mean in zip((1, 0, -2), means, strict=True):
        np.testing.assert_allclose(mean, artifact.outputs[1] * factor, rtol=1e-5, atol=1e-7)


def test_int8_int64_and_half_tensors_pass_as_they_are(int8_artifact):
    run = run_on_host(host("onnxruntime"), int8_artifact.path, [int8_artifact.inputs], FEW)
    assert [tensor.dtype.name for tensor in run.outputs[0]] == ["int8", "float16"]
    for native, python in zip(run.outputs[0], int8_artifact.outputs, strict=True):
        np.testing.assert_array_equal(native, python)


def test_many_inputs_and_outputs_keep_the_order_of_the_graph(tmp_path):
    # Twelve, because names sort otherwise: args_10 stands before args_2 in the file's signature.
    model = tiny_models.multiples_litert(tmp_path / "model.tflite", range(2, 14))
    inputs = [np.full((1, n), n, np.float32) for n in range(2, 14)]
    outputs = run_on_host(host("litert"), model, [inputs], RunRequest(num_runs=1)).outputs[0]
    assert [output.tolist() for output in outputs] == [[[float(n * n)] * n] for n in range(2, 14)]


def test_an_output_that_litert_would_leave_unwritten_is_refused(tmp_path):
    model = tiny_models.multiples_litert(tmp_path / "model.tflite", [1, 2])  # once its input is its input
    inputs = [np.ones((1, n), np.float32) for n in (1, 2)]
    with pytest.raises(RunnerFailed, match="'output_0' is another input or output itself"):
        run_on_host(host("litert"), model, [inputs])


def test_two_threads_compute_the_same(artifact):
    request = RunRequest(threads=2, num_runs=2)
    run = run_on_host(host(artifact.runtime), artifact.path, [artifact.inputs], request)
    assert run.answer.threads == 2
    np.testing.assert_allclose(run.outputs[0][0], artifact.outputs[0], rtol=0, atol=1e-5)


def test_a_profile_names_the_convolution_once_per_run(artifact):
    request = RunRequest(warmup_runs=3, num_runs=7, profile=True)
    operators = run_on_host(host(artifact.runtime), artifact.path, [artifact.inputs], request).answer.operators
    assert operators is not None
    convolutions = [row for row in operators if "Conv" in row.type]
    assert [row.calls for row in convolutions] == [7]
    assert all(row.total_ns >= 0 for row in operators)


def test_there_is_no_profile_unless_it_is_asked_for(onnx_artifact):
    assert run_on_host(host("onnxruntime"), onnx_artifact.path, [onnx_artifact.inputs], FEW).answer.operators is None


def test_min_secs_goes_on_and_max_secs_stops():
    long = run_on_host(host("null"), None, ONE, RunRequest(num_runs=1, min_secs=0.05)).answer.runs
    assert len(long) > 1
    assert long.start_ns[-1] - long.start_ns[0] > 0.04e9
    short = run_on_host(host("null"), None, ONE, RunRequest(num_runs=1_000_000, max_secs=0)).answer.runs
    assert len(short) == 1


def test_nothing_is_measured_where_no_run_is_asked_for():
    run = run_on_host(host("null"), None, ONE, RunRequest(warmup_runs=0, num_runs=0))
    assert [len(run.answer.first), len(run.answer.warmup), len(run.answer.runs)] == [1, 0, 0]
    assert len(run.outputs[0]) == 1


def test_a_cpu_mask_holds_the_runner_on_its_cpus():
    cpu = max(os.sched_getaffinity(0))
    runs = run_on_host(host("null"), None, ONE, RunRequest(num_runs=100, cpu_mask=1 << cpu)).answer.runs
    assert {*runs.cpu_before, *runs.cpu_after} == {cpu}


def test_the_runners_own_cost_is_a_part_of_its_loop():
    overhead = measure_overhead(host("null"), runs=1000)
    assert overhead.runs == 1000
    assert 0 < overhead.timed_ns <= overhead.loop_ns


def test_a_missing_model_is_reported(artifact, tmp_path):
    with pytest.raises(RunnerFailed, match=r"stage 'load'.*none\.onnx cannot be read"):
        run_on_host(host(artifact.runtime), tmp_path / "none.onnx", [artifact.inputs], FEW)


@pytest.mark.parametrize("kept", [0, 10, 400])
def test_a_truncated_model_is_reported(artifact, tmp_path, kept):
    damaged = tmp_path / artifact.path.name
    damaged.write_bytes(artifact.path.read_bytes()[:kept])
    with pytest.raises(RunnerFailed, match="stage 'load'"):
        run_on_host(host(artifact.runtime), damaged, [artifact.inputs], FEW)


def test_a_model_with_flipped_bits_runs_or_is_reported(artifact, tmp_path):
    damaged = tmp_path / artifact.path.name
    content = artifact.path.read_bytes()
    rng = np.random.default_rng(3)
    reported = 0
    for _ in range(10):
        bits = np.frombuffer(content, np.uint8).copy()
        bits[rng.integers(0, len(bits), 8)] ^= rng.integers(1, 255, 8, dtype=np.uint8)
        damaged.write_bytes(bits.tobytes())
        message = _message_of(artifact, damaged)
        # There is an error event even where the runtime crashed.
        assert message is None or "failed at the stage" in message
        reported += message is not None
    assert reported > 0


def _message_of(artifact, model) -> str | None:
    try:
        run_on_host(
            host(artifact.runtime), model, [artifact.inputs], RunRequest(num_runs=1), HostRunOptions(timeout_s=60)
        )
    except RunnerFailed as error:
        return error.message
    return None


WRONG_INPUTS = {
    "too few": (lambda x: [], "not a whole number of sets"),
    "another rank": (lambda x: [x[0][0]], r"float32\[1,8,16,16\], given was float32\[8,16,16\]"),
    "another length": (lambda x: [x[0][:, :7]], r"given was float32\[1,7,16,16\]"),
    "another dtype": (lambda x: [x[0].astype(np.float64)], "given was float64"),
}


@pytest.mark.parametrize(("change", "message"), WRONG_INPUTS.values(), ids=WRONG_INPUTS)
def test_inputs_that_do_not_fit_the_model_are_reported(artifact, change, message):
    with pytest.raises(RunnerFailed, match=f"stage 'inputs'.*{message}"):
        run_on_host(host(artifact.runtime), artifact.path, [change(artifact.inputs)], FEW)


def start(*arguments: str, bundle: Bundle | None = None) -> subprocess.Popen:
    command = [*(bundle or host("null")).command(), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)


WRONG_ARGUMENTS = {
    "none": [],
    "unknown": ["--runtime", "null", "--inputs", "x", "--fast", "1"],
    "no value": ["--runtime"],
    "no inputs": ["--runtime", "null"],
    "no model": ["--runtime", "litert", "--inputs", "x"],
    "unknown runtime": ["--runtime", "tensorrt", "--model", "m", "--inputs", "x"],
    "no threads": ["--runtime", "null", "--inputs", "x", "--threads", "0"],
    "words": ["--runtime", "null", "--inputs", "x", "--num-runs", "many"],
    "overflow": ["--runtime", "null", "--inputs", "x", "--num-runs", "99999999999999999999"],
    "not a time": ["--runtime", "null", "--inputs", "x", "--min-secs=nan"],
    "negative time": ["--runtime", "null", "--inputs", "x", "--max-secs=-1"],
    "no mask": ["--runtime", "null", "--inputs", "x", "--cpu-mask", "big"],
    "no cpus": ["--runtime", "null", "--inputs", "x", "--cpu-mask", "0"],
    "profile without a folder": ["--runtime", "null", "--inputs", "x", "--profile"],
}


@pytest.mark.parametrize("arguments", WRONG_ARGUMENTS.values(), ids=WRONG_ARGUMENTS)
def test_wrong_arguments_are_one_error_line_and_exit_code_2(arguments):
    process = start(*arguments)
    stdout, _ = process.communicate(timeout=30)
    assert process.returncode == 2
    assert [json.loads(line)["stage"] for line in stdout.splitlines()] == ["arguments"]


def test_the_runner_has_the_runtimes_of_the_table_and_null():
    process = start("--runtime", "tensorrt", "--model", "m", "--inputs", "x")
    stdout, _ = process.communicate(timeout=30)
    registered = json.loads(stdout)["message"].removeprefix("unknown runtime 'tensorrt'; this runner has: ").split(", ")
    assert sorted(registered) == sorted([*BY_RUNTIME.names(), "null"])


def test_a_missing_runtime_library_is_reported(onnx_artifact):
    process = start("--runtime", "onnxruntime", "--model", str(onnx_artifact.path), "--inputs", "x")
    stdout, _ = process.communicate(timeout=30)
    last = json.loads(stdout.splitlines()[-1])
    assert (process.returncode, last["stage"]) == (3, "runtime")
    assert "libonnxruntime.so.1" in last["message"]


def test_outputs_that_cannot_be_written_are_reported(tmp_path):
    write_tensors(tmp_path / "in", ONE[0])
    process = start("--runtime", "null", "--inputs", str(tmp_path / "in"), "--outputs", str(tmp_path / "no" / "out"))
    stdout, _ = process.communicate(timeout=30)
    assert process.returncode == 3
    assert json.loads(stdout.splitlines()[-1])["stage"] == "outputs"


def test_a_crash_is_reported_with_its_signal_and_stage(onnx_artifact, tmp_path):
    write_tensors(tmp_path / "in", onnx_artifact.inputs)
    arguments = ["--runtime", "onnxruntime", "--model", str(onnx_artifact.path), "--inputs", str(tmp_path / "in")]
    process = start(*arguments, "--num-runs", "1000000", bundle=host("onnxruntime"))
    assert process.stdout is not None
    seen = [json.loads(process.stdout.readline())["event"] for _ in range(4)]  # start, loaded, first, warmup
    time.sleep(0.2)  # the stage changes just after the last of these lines; the runs take half a minute
    process.send_signal(signal.SIGSEGV)
    rest, _ = process.communicate(timeout=30)
    assert seen == ["start", "loaded", "samples", "samples"]
    last = json.loads(rest.splitlines()[-1])
    assert (process.returncode, last["event"], last["stage"]) == (4, "error", "run")
    assert "signal 11" in last["message"]


def test_a_runner_that_hangs_is_killed_at_the_timeout(tmp_path):
    pid = tmp_path / "pid"
    hang = ["sh", "-c", f"echo $$ > {pid}; exec sleep 60"]
    with pytest.raises(RunnerFailed, match=r"no answer within 0\.3 s"):
        run_on_host(host("null"), None, ONE, options=HostRunOptions(timeout_s=0.3, wrap=lambda command: hang))
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_a_runner_whose_reader_is_gone_exits(onnx_artifact, tmp_path):
    write_tensors(tmp_path / "in", onnx_artifact.inputs)
    arguments = ["--runtime", "onnxruntime", "--model", str(onnx_artifact.path), "--inputs", str(tmp_path / "in")]
    process = start(*arguments, "--num-runs", "1000000", bundle=host("onnxruntime"))
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=10) == 5
