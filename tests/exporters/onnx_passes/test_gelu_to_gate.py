from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgedeploy.exporters.onnx_passes.gelu_to_gate import MAX_ERROR_STEPS, fit, gelu_to_gate
from edgedeploy.exporters.onnx_passes.qdq_graph import Affine

RANGES = [(-4.2, 4.3), (-9.0, 7.0), (-1.0, 1.5), (-0.2, 17.0), (-3.0, 9.0)]


def gelu(x: Any) -> Any:
    return np.array([value * 0.5 * (1 + math.erf(value / math.sqrt(2))) for value in x])


def affine_of(low: float, high: float) -> Affine:
    scale = (high - low) / 255
    return Affine(scale, round(-128 - low / scale))


def quantized_gelu(x: Affine, y: Affine, *, float_output: bool = False) -> onnx.ModelProto:
    """Codes -> DequantizeLinear -> Gelu -> QuantizeLinear -> codes."""
    constants = [
        numpy_helper.from_array(np.asarray(value), name)
        for name, value in (
            ("x_scale", np.float32(x.scale)), ("x_zero", np.int8(x.zero_point)),
            ("y_scale", np.float32(y.scale)), ("y_zero", np.int8(y.zero_point)),
        )
    ]  # fmt: skip
    nodes = [
        helper.make_node("DequantizeLinear", ["codes", "x_scale", "x_zero"], ["x"], name="dequantize"),
        helper.make_node("Gelu", ["x"], ["y"], name="gelu"),
        helper.make_node("QuantizeLinear", ["y", "y_scale", "y_zero"], ["out"], name="quantize"),
    ]
    output = ("y", TensorProto.FLOAT) if float_output else ("out", TensorProto.INT8)
    graph = helper.make_graph(
        nodes[: 2 if float_output else 3],
        "gelu",
        [helper.make_tensor_value_info("codes", TensorProto.INT8, [256])],
        [helper.make_tensor_value_info(*output, [256])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.mark.parametrize(("low", "high"), RANGES)
def test_every_int8_input_is_within_the_bound(low: float, high: float) -> None:
    x, codes = affine_of(low, high), np.arange(-128, 128, dtype=np.int8)
    exact = gelu(x.scale * (codes.astype(float) - x.zero_point))
    y = affine_of(exact.min(), exact.max())
    model = quantized_gelu(x, y)
    done = gelu_to_gate(model)
    onnx.checker.check_model(model, full_check=True)
    (out,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"codes": codes})
    errors = np.abs((out.astype(float) - y.zero_point) * y.scale - exact) / y.scale
    assert 0 < done["gelu"] <= MAX_ERROR_STEPS
    assert errors.max() <= done["gelu"] + 0.51, "rounding takes half a step more"
    assert np.sqrt(np.mean(errors**2)) < 0.75


def test_onnx_runtime_computes_it_in_integers(tmp_path: Path) -> None:
    model, options = quantized_gelu(affine_of(-4, 4), affine_of(-0.17, 4)), onnxruntime.SessionOptions()
    gelu_to_gate(model)
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(model.SerializeToString(), options)
    kernels = [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node]
    assert kernels == ["QLinearSigmoid", "QLinearMul"]


def test_a_gelu_with_a_float_output_stays() -> None:
    model = quantized_gelu(affine_of(-4, 4), affine_of(-0.17, 4), float_output=True)
    assert gelu_to_gate(model) == {}
    assert [node.op_type for node in model.graph.node] == ["DequantizeLinear", "Gelu"]


def test_a_gelu_whose_steps_are_finer_than_the_gate_stays() -> None:
    x, y = affine_of(-4, 4), affine_of(-0.02, 0.02)
    assert fit(x, y).error_steps > MAX_ERROR_STEPS
    assert gelu_to_gate(quantized_gelu(x, y)) == {}


def test_a_gate_within_the_bound_is_taken_before_one_with_a_smaller_mean_error() -> None:
    x, y = Affine(0.02158394642174244, 10), Affine(0.010539681650698185, -112)  # of a Conv2Former-N
    assert fit(x, y).error_steps <= MAX_ERROR_STEPS
