"""tflite-runtime 2.14.0 in its own environment."""

from __future__ import annotations

import numpy as np
import pytest

from edgedeploy.android_harness.host_runner import run_locally
from edgedeploy.android_harness.legacy_tflite.environment import VERSION, build_legacy_tflite, refusal_of
from edgedeploy.android_harness.protocol import RunRequest
from edgedeploy.core.errors import RunnerFailed


def test_the_old_runtime_computes_what_the_new_one_does(litert_artifact):
    request = RunRequest(warmup_runs=2, num_runs=5)
    sets = [litert_artifact.inputs, [-litert_artifact.inputs[0]]]
    run = run_locally(build_legacy_tflite(), litert_artifact.path, sets, request)
    assert (run.answer.runtime, run.answer.runtime_version) == ("tflite-runtime", VERSION)
    assert [len(run.answer.first), len(run.answer.warmup), len(run.answer.runs)] == [1, 2, 5]
    assert run.answer.runs.cpu_before == (None,) * 5
    for old, new in zip(run.outputs[0], litert_artifact.outputs, strict=True):
        np.testing.assert_allclose(old, new, rtol=0, atol=1e-5)
    np.testing.assert_allclose(run.outputs[1][1], -litert_artifact.outputs[1], rtol=0, atol=1e-6)


def test_a_model_that_the_old_runtime_knows_is_not_refused(litert_artifact):
    assert refusal_of(litert_artifact.path) is None


def test_an_operator_that_the_old_runtime_lacks_is_named_before_anybody_ships_it(litert_artifact, tmp_path):
    newer = tmp_path / "newer.tflite"
    newer.write_bytes(with_a_newer_mean(litert_artifact.path.read_bytes()))
    assert "MEAN" in str(refusal_of(newer))
    with pytest.raises(RunnerFailed, match=r"stage 'load'.*MEAN"):
        run_locally(build_legacy_tflite(), newer, [litert_artifact.inputs], RunRequest())


def test_a_file_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "no.tflite").write_bytes(b"no model at all")
    assert refusal_of(tmp_path / "no.tflite") is not None


def test_inputs_that_do_not_fit_are_told(litert_artifact):
    with pytest.raises(RunnerFailed, match=r"stage 'inputs'.*float32\[1, 8, 16, 16\], given was float64"):
        run_locally(build_legacy_tflite(), litert_artifact.path, [[litert_artifact.inputs[0].astype(np.float64)]])


def test_it_says_that_it_cannot_be_pushed():
    with pytest.raises(RunnerFailed, match="on this machine only"):
        build_legacy_tflite().command("/data/local/tmp")


def with_a_newer_mean(model: bytes) -> bytes:
    """The same model, with an operator version of MEAN that is not yet invented."""
    import flatbuffers  # type: ignore[import-untyped]
    from ai_edge_litert import schema_py_generated as schema

    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))
    (mean,) = [code for code in tree.operatorCodes if code.builtinCode == schema.BuiltinOperator.MEAN]
    mean.version = 99
    builder = flatbuffers.Builder(len(model))
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())
