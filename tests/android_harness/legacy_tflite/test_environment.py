"""The legacy TFLite runtime, tflite-runtime 2.14.0, in its own environment."""

from __future__ import annotations

import numpy as np
import pytest

from edgedeploy.android_harness.host_runner import run_on_host
from edgedeploy.android_harness.legacy_tflite.environment import VERSION, build_legacy_tflite, load_failure
from edgedeploy.android_harness.protocol import RunRequest
from edgedeploy.core.errors import RunnerFailed


def test_the_legacy_runtime_computes_what_litert_does(litert_artifact):
    request = RunRequest(warmup_runs=2, num_runs=5)
    sets = [litert_artifact.inputs, [-litert_artifact.inputs[0]]]
    run = run_on_host(build_legacy_tflite(), litert_artifact.path, sets, request)
    assert (run.answer.runtime, run.answer.runtime_version) == ("tflite-runtime", VERSION)
    assert [len(run.answer.first), len(run.answer.warmup), len(run.answer.runs)] == [1, 2, 5]
    assert run.answer.runs.cpu_before == (None,) * 5
    for legacy, current in zip(run.outputs[0], litert_artifact.outputs, strict=True):
        np.testing.assert_allclose(legacy, current, rtol=0, atol=1e-5)
    np.testing.assert_allclose(run.outputs[1][1], -litert_artifact.outputs[1], rtol=0, atol=1e-6)


def test_a_model_that_the_legacy_runtime_supports_loads(litert_artifact):
    assert load_failure(litert_artifact.path) is None


def test_an_operator_that_the_legacy_runtime_lacks_is_named(litert_artifact, tmp_path):
    newer = tmp_path / "newer.tflite"
    newer.write_bytes(with_a_newer_mean(litert_artifact.path.read_bytes()))
    assert "MEAN" in str(load_failure(newer))
    with pytest.raises(RunnerFailed, match=r"stage 'load'.*MEAN"):
        run_on_host(build_legacy_tflite(), newer, [litert_artifact.inputs], RunRequest())


def test_a_file_that_is_not_a_model_is_a_load_failure(tmp_path):
    (tmp_path / "no.tflite").write_bytes(b"no model at all")
    assert load_failure(tmp_path / "no.tflite") is not None


def test_inputs_that_do_not_fit_are_reported(litert_artifact):
    with pytest.raises(RunnerFailed, match=r"stage 'inputs'.*float32\[1, 8, 16, 16\], given was float64"):
        run_on_host(build_legacy_tflite(), litert_artifact.path, [[litert_artifact.inputs[0].astype(np.float64)]])


def test_it_cannot_be_pushed_to_a_device():
    with pytest.raises(RunnerFailed, match="on this machine only"):
        build_legacy_tflite().command("/data/local/tmp")


def with_a_newer_mean(model: bytes) -> bytes:
    """The same model, with an operator version of MEAN that does not exist."""
    import flatbuffers  # type: ignore[import-untyped]
    from ai_edge_litert import schema_py_generated as schema

    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))
    (mean,) = [code for code in tree.operatorCodes if code.builtinCode == schema.BuiltinOperator.MEAN]
    mean.version = 99
    builder = flatbuffers.Builder(len(model))
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())
