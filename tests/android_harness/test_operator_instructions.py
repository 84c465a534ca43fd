"""Instructions by operator: they add up to the plain count, repeat, and hold the multiply-accumulates."""

from __future__ import annotations

import pytest

from edgedeploy.android_harness import operator_instructions
from edgedeploy.android_harness.bundles import build_bundle
from edgedeploy.android_harness.operator_instructions import count_operators
from edgedeploy.android_harness.qemu import count_instructions
from edgedeploy.core.errors import RunnerFailed

from .tiny_models import MACS


@pytest.fixture(scope="module")
def plain(artifact):
    return count_instructions(build_bundle(artifact.runtime, "arm64"), artifact.path, artifact.inputs).instructions


@pytest.fixture(scope="module")
def counts(artifact):
    return count_operators(build_bundle(artifact.runtime, "arm64"), artifact.path, artifact.inputs)


def test_the_operators_and_what_is_outside_of_them_are_the_inference(counts, plain):
    in_operators = sum(row.instructions for row in counts.operators)
    # a call of the runtime itself takes some 8000 instructions, which is much of so small a network and 0.1 % of a real one
    assert plain.total - in_operators < 15_000
    assert in_operators < counts.total
    assert plain.total < counts.total  # the profiler's own instructions come on top
    assert all(row.instructions > 0 for row in counts.operators)


def test_useful_instructions_are_those_of_the_plain_count_and_lie_in_the_convolution(counts, plain):
    assert sum(row.useful for row in counts.operators) == plain.by_class["float_mac"] + plain.by_class["int8_dot"]
    convolution = max(counts.operators, key=lambda row: row.instructions)
    assert "Conv" in convolution.type
    assert convolution.useful >= MACS / 4


def test_operator_counts_repeat_within_a_tenth_of_a_percent(artifact, counts):
    again = count_operators(build_bundle(artifact.runtime, "arm64"), artifact.path, artifact.inputs)
    assert [row.name for row in again.operators] == [row.name for row in counts.operators]
    of_the_profiler = (
        2000 if artifact.runtime == "onnxruntime" else 0
    )  # it writes addresses and times of varying length
    for row, before in zip(again.operators, counts.operators, strict=True):
        assert row.instructions == pytest.approx(before.instructions, rel=1e-3, abs=of_the_profiler)


def test_a_clock_where_the_loader_cannot_preload_it_is_refused(onnx_artifact, tmp_path, monkeypatch):
    monkeypatch.setattr(operator_instructions, "guest_clock", lambda: tmp_path / "a b" / "libguest_clock.so")
    with pytest.raises(RunnerFailed, match="preloads no library with a space"):
        count_operators(build_bundle("onnxruntime", "arm64"), onnx_artifact.path, onnx_artifact.inputs)


def test_a_clock_of_unknown_instructions_is_refused(onnx_artifact, monkeypatch):
    monkeypatch.setattr(operator_instructions, "USEFUL_CLASSES", ("int8_dot", "int4_dot"))
    with pytest.raises(RunnerFailed, match="reported no error"):
        count_operators(build_bundle("onnxruntime", "arm64"), onnx_artifact.path, onnx_artifact.inputs)
