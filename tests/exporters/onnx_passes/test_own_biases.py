from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, quantize_static

from edgedeploy.exporters.onnx_passes.own_biases import own_biases


class Sample(CalibrationDataReader):
    def __init__(self) -> None:
        self.left = [{"x": np.ones((1, 2, 4), np.float32)}]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return self.left.pop() if self.left else None


def two_norms_with_one_bias() -> onnx.ModelProto:
    """The quantizer would name its copy of `b` after the largest number behind it, `b1`, which is an operator's output."""
    constants = [
        numpy_helper.from_array(np.ones(2, np.float32), "gain"), numpy_helper.from_array(np.zeros(2, np.float32), "b"),
        numpy_helper.from_array(np.array([1, 2, 4], np.int64), "b0"),
    ]  # fmt: skip
    nodes = [
        helper.make_node("InstanceNormalization", ["x", "gain", "b"], ["first"], name="first"),
        helper.make_node("Reshape", ["first", "b0"], ["b1"], name="reshape"),
        helper.make_node("InstanceNormalization", ["b1", "gain", "b"], ["y"], name="second"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2, 4]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "norms", ends[:1], ends[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_each_layer_has_a_bias_of_its_own_and_the_quantizer_makes_no_copies(tmp_path: Path) -> None:
    model = two_norms_with_one_bias()
    assert own_biases(model) == 1
    onnx.checker.check_model(model, full_check=True)
    biases = [node.input[2] for node in model.graph.node if node.op_type == "InstanceNormalization"]
    assert len(set(biases)) == 2
    quantize_static(model, tmp_path / "int8.onnx", Sample())  # raises where a copy takes the name of an output
    onnx.checker.check_model(str(tmp_path / "int8.onnx"), full_check=True)
