"""Facts per operator, on a network with nested modules."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from edgedeploy.android_harness.bundles import build_bundle
from edgedeploy.android_harness.operator_instructions import count_operators
from edgedeploy.benchmarks.executors.operator_tracing import bound_of, trace
from edgedeploy.core.backends import BACKENDS
from edgedeploy.core.recipe import QuantRecipe
from edgedeploy.core.recipes import STATIC_INT8
from edgedeploy.exporters.job import Lowered
from edgedeploy.models.macs import count_macs
from tests.phones import need

from .small_network import CONVOLUTIONS, SmallExports, SmallNetwork, modules_of

CONVOLUTION = ("Conv", "aten.convolution.default", "CONV_2D")
ACTIVATION = ("HardSwish", "aten.hardswish.default", "HARD_SWISH")
MACS = count_macs(SmallNetwork(), (torch.zeros(1, 3, 16, 16),))
NORM = ("LayerNormalization", "native_layer_norm.out", "RSQRT")


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> SmallExports:
    return SmallExports(tmp_path_factory.mktemp("facts"))


@pytest.fixture(params=BACKENDS.names())
def lowered(request: pytest.FixtureRequest, exports: SmallExports) -> Lowered:
    return exports.lower(request.param)[0]


@pytest.fixture(params=BACKENDS.names())
def quantized(request: pytest.FixtureRequest, exports: SmallExports) -> Lowered:
    return exports.lower(request.param, STATIC_INT8)[0]


def test_operators_have_the_paths_of_their_modules(lowered: Lowered) -> None:
    assert modules_of(lowered, CONVOLUTION) == CONVOLUTIONS
    assert modules_of(lowered, ACTIVATION) == {"stages.0.act", "stages.1.act", "branches.0.act"}
    assert modules_of(lowered, NORM) == {"norm"}


def test_operators_of_a_quantized_file_have_the_same_paths(quantized: Lowered) -> None:
    assert modules_of(quantized, CONVOLUTION) == CONVOLUTIONS
    assert modules_of(quantized, (*ACTIVATION, "Mul")) == {"stages.0.act", "stages.1.act", "branches.0.act"}


def test_conversions_have_the_path_of_the_operator_that_they_serve(quantized: Lowered) -> None:
    conversions = {op.module for op in quantized.operators if "quantize" in op.type.lower()}
    assert conversions
    assert conversions <= {*CONVOLUTIONS, "stem.1", "stages.0.act", "stages.1.act", "branches.0.act", "norm", ""}
    if "CONV_2D" not in quantized.graph.operators:  # TFLite converts only where integers and floats meet
        assert conversions >= CONVOLUTIONS


def test_dtypes_are_those_of_outputs(lowered: Lowered, quantized: Lowered) -> None:
    assert {op.dtype for op in lowered.operators} == {"float32"}
    assert {op.dtype for op in quantized.operators} & {"int8", "uint8"}


def test_multiply_accumulates_add_up_to_those_of_the_network(lowered: Lowered) -> None:
    assert sum(fact.macs or 0 for fact in lowered.operators) == MACS
    assert not any(fact.int8 for fact in lowered.operators)


def test_those_of_a_quantized_file_are_of_int8_values(quantized: Lowered) -> None:
    assert sum(fact.macs or 0 for fact in quantized.operators) == MACS
    assert all(fact.int8 for fact in quantized.operators if fact.macs)


def test_delegates_are_numbered_in_the_order_of_their_execution(lowered: Lowered) -> None:
    numbers = [fact.delegate for fact in lowered.operators if fact.delegate is not None]
    assert len(numbers) == sum(bool(fact.delegated) for fact in lowered.operators)
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(lowered.graph.delegates or 0))
    assert {fact.delegate for fact in lowered.operators if not fact.delegated} <= {None}


def test_what_runs_on_arm_is_traced_to_the_modules(quantized: Lowered, exports: SmallExports, request) -> None:
    need(["aarch64-linux-gnu-g++", "qemu-aarch64", "unshare", "cmake", "ninja"])
    name = request.node.callspec.params["quantized"]
    backend, file = BACKENDS[name], exports.folder / f"{STATIC_INT8}-{BACKENDS[name].file}"
    image = np.random.default_rng(0).standard_normal((1, 3, 16, 16), np.float32)
    counts = count_operators(build_bundle(backend.runtime, "arm64"), file, [image])
    traced = trace(backend.runtime, counts.operators, quantized.operators)
    layers = [(row, fact) for row, fact in zip(counts.operators, traced, strict=True) if fact and fact.macs]
    assert {fact.module for _, fact in layers} == CONVOLUTIONS
    assert all(row.useful >= (bound_of(fact) or 0) > 0 for row, fact in layers)
    assert all("Conv" in row.type or "Fully Connected" in row.type for row, _ in layers)


def test_the_summary_counts_operators_by_type(exports: SmallExports) -> None:
    lowered, _ = exports.lower("onnx")
    assert lowered.graph.operators == Counter(op.type for op in lowered.operators)
    assert (lowered.graph.delegates, lowered.graph.opset) == (None, 20)
    assert {op.delegated for op in lowered.operators} == {None}


def test_executorch_lists_operators_inside_and_outside_of_delegates(exports: SmallExports) -> None:
    lowered, _ = exports.lower("executorch")
    delegated = {op.type: op.delegated for op in lowered.operators}
    assert delegated["aten.convolution.default"] is True
    assert delegated["native_layer_norm.out"] is False
    assert lowered.graph.delegates == 2
    assert "native_layer_norm.out" in lowered.graph.operators


@pytest.mark.parametrize("recipe", [None, STATIC_INT8], ids=str)
def test_tflite_lists_what_its_delegate_takes(recipe: QuantRecipe | None, exports: SmallExports) -> None:
    lowered, _ = exports.lower("tflite", recipe) if recipe else exports.lower("tflite")
    delegated = {
        type: {op.delegated for op in lowered.operators if op.type == type} for type in lowered.graph.operators
    }
    assert delegated["CONV_2D"] == {True}
    # XNNPACK has no int8 hard swish
    assert delegated["HARD_SWISH"] == {recipe is None}
    assert lowered.graph.operators == Counter(op.type for op in lowered.operators)
