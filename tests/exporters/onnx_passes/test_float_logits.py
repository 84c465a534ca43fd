from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgedeploy.exporters.onnx_passes.float_logits import float_logits


def attention(
    *, int8_operands: bool = True, second_reader: bool = False, int8_weights: bool = False
) -> onnx.ModelProto:
    """Softmax of the quantized product of a (2, 5, 4) and b (2, 4, 6); steps of 1/16, logits in steps of 1/2."""
    held = {"step": np.float32(1 / 16), "coarse": np.float32(0.5), "whole": np.float32(1 / 255), "zero": np.int8(0)}
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in held.items()]
    operands = ("a", "b") if int8_operands else ("a_codes", "b_codes")
    conversions = [helper.make_node("DequantizeLinear", [f"{x}_codes", "step", "zero"], [x]) for x in ("a", "b")]
    nodes = [
        *(conversions if int8_operands else []),
        helper.make_node("MatMul", operands, ["product"]),
        helper.make_node("QuantizeLinear", ["product", "coarse", "zero"], ["logits_codes"]),
        helper.make_node("DequantizeLinear", ["logits_codes", "coarse", "zero"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["weights"], axis=-1),
        *([helper.make_node("Relu", ["logits"], ["other"])] if second_reader else []),
    ]
    if int8_weights:
        nodes[-1].output[0] = "exact"
        nodes += [
            helper.make_node("QuantizeLinear", ["exact", "whole", "zero"], ["weights_codes"]),
            helper.make_node("DequantizeLinear", ["weights_codes", "whole", "zero"], ["weights"]),
        ]
    kind = TensorProto.INT8 if int8_operands else TensorProto.FLOAT
    inputs = [
        helper.make_tensor_value_info(f"{x}_codes", kind, shape) for x, shape in (("a", [2, 5, 4]), ("b", [2, 4, 6]))
    ]
    names = ["weights", "other"] if second_reader else ["weights"]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 5, 6]) for name in names]
    graph = helper.make_graph(nodes, "attention", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_a_softmax_reads_the_product_as_onnx_runtime_computes_it(tmp_path: Path) -> None:
    model, options = attention(), onnxruntime.SessionOptions()
    assert float_logits(model, model, {}) == 1
    onnx.checker.check_model(model, full_check=True)
    options.add_session_config_entry("session.qdqisint8allowed", "1")  # the default on Arm
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    kernels = [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node]
    assert kernels == ["MatMulIntegerToFloat", "Softmax"]
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-128, 128, shape, dtype=np.int8) for shape in ((2, 5, 4), (2, 4, 6)))
    (weights,) = session.run(None, {"a_codes": a, "b_codes": b})
    logits = (a / 16.0) @ (b / 16.0)
    exact = np.exp(logits - logits.max(-1, keepdims=True))
    np.testing.assert_allclose(weights, exact / exact.sum(-1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("options", [{"int8_operands": False}, {"second_reader": True}])
def test_float_products_and_logits_with_other_readers_stay(options: dict[str, bool]) -> None:
    model = attention(**options)
    before = model.SerializeToString()
    assert float_logits(model, model, {}) == 0
    assert model.SerializeToString() == before


@pytest.mark.parametrize(("largest", "range"), [({"exact": 0.25}, 0.25), ({"exact": 1.0}, 1.0), ({}, 1.0)])
def test_weights_of_a_float_softmax_have_the_range_of_calibration(largest: dict[str, float], range: float) -> None:
    model = attention(int8_weights=True)
    assert float_logits(model, model, largest) == 1
    (whole,) = [constant for constant in model.graph.initializer if constant.name == "whole"]
    assert numpy_helper.to_array(whole) == pytest.approx(range / 255)


def test_weights_of_an_int8_softmax_keep_their_whole_range() -> None:
    model = attention(int8_operands=False, int8_weights=True)
    before = model.SerializeToString()
    assert float_logits(model, model, {"exact": 0.25}) == 0
    assert model.SerializeToString() == before


def masked_attention() -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """The attention with a bias and a view between product and softmax, quantized; and its float constants."""
    model, bias = attention(), np.linspace(-1, 1, 6, dtype=np.float32)
    (softmax,) = (node for node in model.graph.node if node.op_type == "Softmax")
    softmax.input[0] = "rows"
    codes, shape = np.round(bias * 16).astype(np.int8), np.array([1, 2, 5, 6])
    for name, value in (("bias_codes", codes), ("shape", shape)):
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    between = [
        helper.make_node("DequantizeLinear", ["bias_codes", "step", "zero"], ["bias_rounded"]),
        helper.make_node("Add", ["bias_rounded", "logits"], ["sum"], name="add"),
        helper.make_node("QuantizeLinear", ["sum", "coarse", "zero"], ["sum_codes"]),
        helper.make_node("DequantizeLinear", ["sum_codes", "coarse", "zero"], ["sum_read"]),
        helper.make_node("Reshape", ["sum_read", "shape"], ["view"], name="view"),
        helper.make_node("QuantizeLinear", ["view", "coarse", "zero"], ["view_codes"]),
        helper.make_node("DequantizeLinear", ["view_codes", "coarse", "zero"], ["rows"]),
    ]
    kept = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*kept[:-1], *between, kept[-1]])
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("weights", TensorProto.FLOAT, [1, 2, 5, 6]))
    named = [
        helper.make_node("Add", ["bias", "product"], ["sum"], name="add"),
        helper.make_node("Reshape", ["sum", "shape"], ["view"], name="view"),
    ]
    source = helper.make_graph(named, "source", [], [], [numpy_helper.from_array(bias, "bias")])
    return model, helper.make_model(source)


def test_sums_with_a_bias_and_views_before_the_softmax_are_float_too() -> None:
    model, source = masked_attention()
    assert float_logits(model, source, {}) == 1
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node[2:]] == ["MatMul", "Add", "Reshape", "Softmax"]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    a, b = (np.random.default_rng(0).integers(-128, 128, shape, dtype=np.int8) for shape in ((2, 5, 4), (2, 4, 6)))
    (weights,) = session.run(None, {"a_codes": a, "b_codes": b})
    logits = (a / 16.0) @ (b / 16.0) + np.linspace(-1, 1, 6)
    exact = np.exp(logits - logits.max(-1, keepdims=True))
    np.testing.assert_allclose(weights[0], exact / exact.sum(-1, keepdims=True), atol=1e-5)
