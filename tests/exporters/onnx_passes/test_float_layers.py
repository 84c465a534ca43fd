from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgedeploy.exporters.onnx_passes.float_layers import keep_float_layers


def between_int8(
    type: str, weight: Sequence[int], shape: Sequence[int], *, reader: str = "", **attributes: object
) -> onnx.ModelProto:
    """A float layer between int8 values of `shape`; weights of each of its four outputs are a tenth of those before."""
    axis = weight.index(4)
    values = np.moveaxis(np.random.default_rng(0).normal(size=weight), axis, -1)
    values = np.moveaxis(values * 0.1 ** np.arange(4), -1, axis)
    constants = [
        numpy_helper.from_array(np.asarray(value), name)
        for name, value in (
            ("step", np.float32(1 / 16)),
            ("fine", np.float32(1e-5)),
            ("zero", np.int8(0)),
            ("weight", values.astype(np.float32)),
        )
    ]
    last = "activated" if reader == "Relu" else "product"
    nodes = [
        helper.make_node("DequantizeLinear", ["codes", "step", "zero"], ["x"]),
        helper.make_node(type, ["x", "weight"], ["product"], name="layer", **attributes),
        *([helper.make_node("Relu", ["product"], ["activated"])] if reader == "Relu" else []),
        *([helper.make_node("Abs", ["product"], ["other"])] if reader == "Abs" else []),
        helper.make_node("QuantizeLinear", [last, "fine", "zero"], ["result"]),
    ]
    ends = [helper.make_tensor_value_info("result", TensorProto.INT8, None)]
    ends += [helper.make_tensor_value_info("other", TensorProto.FLOAT, None)] if reader == "Abs" else []
    inputs = [helper.make_tensor_value_info("codes", TensorProto.INT8, shape)]
    graph = helper.make_graph(nodes, "between", inputs, ends, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model: onnx.ModelProto, codes: np.ndarray, *, optimized: bool = True) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"codes": codes})[0], np.int64)


@pytest.mark.parametrize("reader", ["", "Relu"])
@pytest.mark.parametrize(
    ("type", "weight", "shape", "attributes"),
    [
        ("Conv", (4, 3, 1, 1), (1, 3, 5, 5), {}),
        ("Conv", (4, 1, 3, 3), (1, 4, 5, 5), {"group": 4}),
        ("ConvTranspose", (3, 4, 2, 2), (1, 3, 5, 5), {}),
        ("Gemm", (3, 4), (9, 3), {}),
        ("Gemm", (4, 3), (9, 3), {"transB": 1}),
    ],
    ids=["dense", "depthwise", "transposed", "gemm", "gemm of rows"],
)
def test_a_float_layer_between_int8_values_stays_float(
    type: str, weight: Sequence[int], shape: Sequence[int], attributes: dict[str, object], reader: str
) -> None:
    model = between_int8(type, weight, shape, reader=reader, **attributes)
    codes = np.random.default_rng(1).integers(-9, 9, shape, dtype=np.int8)
    exact = run(model, codes, optimized=False)
    assert np.abs(run(model, codes) - exact).max() > 1, "ONNX Runtime lets it be: is the pass still needed?"
    assert keep_float_layers(model) == 1
    assert np.abs(run(model, codes) - exact).max() <= 1


@pytest.mark.parametrize(
    ("weight", "shape", "reader"), [((4, 3, 1, 1), (1, 3, 5, 5), "Abs"), ((4, 1, 1, 1), (1, 1, 5, 5), "")],
    ids=["read elsewhere", "one channel"],
)  # fmt: skip
def test_other_layers_keep_their_input(weight: Sequence[int], shape: Sequence[int], reader: str) -> None:
    model = between_int8("Conv", weight, shape, reader=reader)
    before = model.SerializeToString()
    assert keep_float_layers(model) == 0
    assert model.SerializeToString() == before
