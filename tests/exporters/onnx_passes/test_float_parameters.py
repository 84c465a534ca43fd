from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgedeploy.exporters.onnx_passes.float_parameters import restore_float_parameters

GAIN = np.array([0.5, 1.0, 1.5], dtype=np.float32)


def norms(*, quantized: bool) -> onnx.ModelProto:
    """Two layer norms with one gain, as a float model or as the quantizer leaves it."""
    gain = numpy_helper.from_array(np.array([42, 85, 127], dtype=np.int8) if quantized else GAIN, "gain")
    scale = [numpy_helper.from_array(np.array(1.5 / 127, dtype=np.float32), "scale")] if quantized else []
    read = "gain"  # the quantizer's conversion may bear the name of what it converts
    convert = [helper.make_node("DequantizeLinear", ["gain", "scale"], [read], name="convert")] if quantized else []
    nodes = [
        helper.make_node("LayerNormalization", [source, read], [target], name=target)
        for source, target in (("x", "y"), ("y", "z"))
    ]
    gain.name = "gain_quantized" if quantized else "gain"
    if convert:
        convert[0].input[0] = "gain_quantized"
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in ("x", "z")]
    graph = helper.make_graph([*convert, *nodes], "norms", values[:1], values[1:], [gain, *scale])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_norms_read_the_float_parameters_and_the_int8_ones_are_gone() -> None:
    model = norms(quantized=True)
    assert restore_float_parameters(model, norms(quantized=False)) == 2
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["LayerNormalization", "LayerNormalization"]
    (gain,) = model.graph.initializer
    np.testing.assert_array_equal(numpy_helper.to_array(gain), GAIN)
