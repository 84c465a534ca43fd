"""ONNX Runtime, int8: a softmax value above the range of its output becomes the smallest one instead of the largest one."""

import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
constants = [
    numpy_helper.from_array(np.array(value), name)
    for name, value in (
        ("x_scale", np.float32(0.05)), ("x_zero", np.int8(0)),
        ("y_scale", np.float32(0.3 / 255)), ("y_zero", np.int8(-128)),  # from 0 to 0.3
    )
]  # fmt: skip
nodes = [
    helper.make_node("QuantizeLinear", ["x", "x_scale", "x_zero"], ["a"]),
    helper.make_node("DequantizeLinear", ["a", "x_scale", "x_zero"], ["b"]),
    helper.make_node("Softmax", ["b"], ["c"], axis=-1),
    helper.make_node("QuantizeLinear", ["c", "y_scale", "y_zero"], ["d"]),
    helper.make_node("DequantizeLinear", ["d", "y_scale", "y_zero"], ["y"]),
]
model = helper.make_model(
    helper.make_graph(nodes, "softmax", ends[:1], ends[1:], constants),
    opset_imports=[helper.make_opsetid("", 20)],
    ir_version=10,
)
x = np.array([[0.0, 0.0, 0.0, 3.0]], np.float32)
results = []
for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_ALL"):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    results.append(session.run(None, {"x": x})[0])
    print(f"{level:16}", *np.round(results[-1][0], 3))
sys.exit(bool(np.abs(results[0] - results[1]).max() > 0.01))
