"""One activation between int8 tensors, as quantize_static leaves it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgedeploy.exporters.onnx_passes.qdq_graph import Affine

CODES = np.arange(-128, 128, dtype=np.int8)


def affine_of(low: float, high: float) -> Affine:
    scale = (high - low) / 255
    return Affine(scale, round(-128 - low / scale))


def quantized_activation(operator: str, x: Affine, y: Affine, *, float_output: bool = False) -> onnx.ModelProto:
    """Codes -> DequantizeLinear -> activation -> QuantizeLinear -> codes."""
    constants = [
        numpy_helper.from_array(np.asarray(value), name)
        for name, value in (
            ("x_scale", np.float32(x.scale)), ("x_zero", np.int8(x.zero_point)),
            ("y_scale", np.float32(y.scale)), ("y_zero", np.int8(y.zero_point)),
        )
    ]  # fmt: skip
    nodes = [
        helper.make_node("DequantizeLinear", ["codes", "x_scale", "x_zero"], ["x"], name="dequantize"),
        helper.make_node(operator, ["x"], ["y"], name="activation"),
        helper.make_node("QuantizeLinear", ["y", "y_scale", "y_zero"], ["out"], name="quantize"),
    ]
    output = ("y", TensorProto.FLOAT) if float_output else ("out", TensorProto.INT8)
    graph = helper.make_graph(
        nodes[: 2 if float_output else 3],
        "activation",
        [helper.make_tensor_value_info("codes", TensorProto.INT8, [256])],
        [helper.make_tensor_value_info(*output, [256])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def values_of(x: Affine) -> NDArray[np.float64]:
    """Of all 256 codes."""
    return x.scale * (CODES.astype(float) - x.zero_point)


def errors_in_steps(model: onnx.ModelProto, exact: NDArray[np.float64], y: Affine) -> NDArray[np.float64]:
    """Of all 256 inputs, in ONNX Runtime."""
    (out,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"codes": CODES})
    return np.abs((out.astype(float) - y.zero_point) * y.scale - exact) / y.scale


def kernels_of(model: onnx.ModelProto, folder: Path) -> list[str]:
    """What ONNX Runtime makes of the model."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    onnxruntime.InferenceSession(model.SerializeToString(), options)
    return [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node]
