from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgedeploy.exporters.onnx_passes.global_average_pool import poolings_of_float_maps, use_global_average_pool

IN_INT8 = ("Conv", "Mul", "Relu", "Reshape", "GlobalAveragePool")


def mean_of(shape: Sequence[int], axes: Sequence[int], *, keepdims: int) -> onnx.ModelProto:
    node = helper.make_node("ReduceMean", ["x", "axes"], ["y"], name="mean", keepdims=keepdims)
    output = [None] * (len(shape) if keepdims else len(shape) - len(axes))
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes) for name, sizes in (("x", shape), ("y", output))
    ]
    constants = [numpy_helper.from_array(np.array(axes, np.int64), "axes")]
    graph = helper.make_graph([node], "mean", ends[:1], ends[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize(("shape", "axes"), [((2, 3, 4, 5), (2, 3)), ((2, 3, 4, 5), (-1, -2)), ((2, 3, 7), (-1,))])
def test_a_mean_over_all_positions_becomes_a_pooling(shape: Sequence[int], axes: Sequence[int], keepdims: int) -> None:
    model = mean_of(shape, axes, keepdims=keepdims)
    assert use_global_average_pool(model) == 1
    onnx.checker.check_model(model, full_check=True)
    x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    (y,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    np.testing.assert_allclose(y, x.mean(tuple(axes), keepdims=bool(keepdims)), atol=1e-6)


@pytest.mark.parametrize(("shape", "axes"), [((2, 3, 4, 5), (2,)), ((2, 3, 4, 5), (1, 2)), ((3, 7), (1,))])
def test_another_mean_stays(shape: Sequence[int], axes: Sequence[int]) -> None:
    model = mean_of(shape, axes, keepdims=1)
    assert use_global_average_pool(model) == 0
    assert [node.op_type for node in model.graph.node] == ["ReduceMean"]


def pooled(*activations: str, gated: bool = False) -> onnx.ModelProto:
    """A pooling behind some operators, and the product of both where `gated`."""
    names = ["x", *(f"{index}" for index in range(len(activations)))]
    nodes = [
        helper.make_node(type, [source], [output], name=output)
        for type, source, output in zip(activations, names, names[1:], strict=False)
    ]
    nodes.append(helper.make_node("GlobalAveragePool", [names[-1]], ["y"], name="pool"))
    nodes += [helper.make_node("Mul", [names[-1], "y"], ["z"], name="gate")] if gated else []
    return helper.make_model(helper.make_graph(nodes, "pooled", [], []))


def test_a_map_that_only_its_pooling_would_make_int8_is_pooled_in_float() -> None:
    assert poolings_of_float_maps(pooled("HardSwish"), (), IN_INT8) == ["pool"]
    assert poolings_of_float_maps(pooled("Relu", "HardSwish"), (), IN_INT8) == ["pool"]
    assert poolings_of_float_maps(pooled("Relu"), ["0"], IN_INT8) == ["pool"], "the recipe has the ReLU in float"


def test_a_map_that_is_int8_anyway_is_pooled_in_int8() -> None:
    assert poolings_of_float_maps(pooled("Relu"), (), IN_INT8) == []
    assert poolings_of_float_maps(pooled("HardSwish", gated=True), (), IN_INT8) == []
    assert poolings_of_float_maps(pooled(), (), IN_INT8) == [], "the network's input"
