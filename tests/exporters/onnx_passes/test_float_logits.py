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
    assert float_logits(model, {}) == 1
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
    assert float_logits(model, {}) == 0
    assert model.SerializeToString() == before


@pytest.mark.parametrize(("largest", "range"), [({"exact": 0.25}, 0.25), ({"exact": 1.0}, 1.0), ({}, 1.0)])
def test_weights_of_a_float_softmax_have_the_range_of_calibration(largest: dict[str, float], range: float) -> None:
    model = attention(int8_weights=True)
    assert float_logits(model, largest) == 1
    (whole,) = [constant for constant in model.graph.initializer if constant.name == "whole"]
    assert numpy_helper.to_array(whole) == pytest.approx(range / 255)


def test_weights_of_an_int8_softmax_keep_their_whole_range() -> None:
    model = attention(int8_operands=False, int8_weights=True)
    before = model.SerializeToString()
    assert float_logits(model, {"exact": 0.25}) == 0
    assert model.SerializeToString() == before
