"""ONNX Runtime's quantizer: the copy that it makes of a shared bias may take the name of an operator's output."""

import sys
import tempfile

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, quantize_static


class Sample(CalibrationDataReader):
    def __init__(self):
        self.left = [{"x": np.ones((1, 2, 4), np.float32)}]

    def get_next(self):
        return self.left.pop() if self.left else None


constants = [
    numpy_helper.from_array(np.ones(2, np.float32), "gain"),
    numpy_helper.from_array(np.zeros(2, np.float32), "v"),  # read by two norms
    numpy_helper.from_array(np.array([1, 2, 4], np.int64), "v0"),  # so that the copy of v is called v1
]
nodes = [
    helper.make_node("InstanceNormalization", ["x", "gain", "v"], ["first"], name="first"),
    helper.make_node("Reshape", ["first", "v0"], ["v1"], name="reshape"),
    helper.make_node("InstanceNormalization", ["v1", "gain", "v"], ["y"], name="second"),
]
ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2, 4]) for name in ("x", "y")]
graph = helper.make_graph(nodes, "norms", ends[:1], ends[1:], constants)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
    try:
        quantize_static(model, file.name, Sample())
    except ValueError as error:
        print(error)
        sys.exit(1)
print("quantized")
