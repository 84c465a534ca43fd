from __future__ import annotations

from typing import Any

import onnx

from edgedeploy.exporters.onnx_operators import NAME_SCOPES, exported_paths, node_paths, operator_facts


def model(*lines: str, weights: str = "") -> Any:
    """A model of nodes such as `y = Add a b @ module.path`; a node's name is its output's. `@` alone is the top level."""
    nodes = []
    for line in lines:
        call, *modules = line.split(" @")
        output, _, type, *inputs = call.split()
        node = onnx.helper.make_node(type, inputs, [output], name=output)
        for module in modules:
            scopes = repr(["", module.strip(), output] if module.strip() else ["", output])
            node.metadata_props.append(onnx.StringStringEntryProto(key=NAME_SCOPES, value=scopes))
        nodes.append(node)
    constants = [onnx.helper.make_tensor(name, onnx.TensorProto.FLOAT, [1], [0.0]) for name in weights.split()]
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in ("x", "out")]
    return onnx.helper.make_model(onnx.helper.make_graph(nodes, "test", values[:1], values[1:], constants))


EXPORTED = ("m = MatMul x w @ fc", "l = Add m b @ fc", "g = Gelu l @ act", "out = Mul g s @")


def test_paths_are_read_from_the_metadata_of_torch_onnx() -> None:
    paths = exported_paths(model(*EXPORTED, weights="w b s"))
    assert paths == {"m": "fc", "l": "fc", "g": "act", "out": "", "w": "fc", "b": "fc", "s": ""}


def test_a_weight_that_several_modules_read_belongs_to_none() -> None:
    assert "w" not in exported_paths(model("a = Mul x w @ left", "out = Mul a w @ right", weights="w"))


def test_operators_are_found_again_by_their_outputs() -> None:
    simplified = model("l = Gemm x new b2", "g = Gelu l", "out = Mul g s", weights="new b2 s")
    assert node_paths(simplified, exported_paths(model(*EXPORTED, weights="w b s"))) == {
        "l": "fc",
        "g": "act",
        "out": "",
    }


def test_an_operator_with_a_new_output_is_found_by_its_weights() -> None:
    """Here the reader of the Gemm is the activation: onnxsim has moved the reshape behind it."""
    simplified = model("r = Reshape x shape", "v = Gemm r w b", "v2 = Gelu v", "g = Reshape v2 shape", "out = Mul g s",
                       weights="w b s shape")  # fmt: skip
    paths = node_paths(simplified, exported_paths(model(*EXPORTED, weights="w b s")))
    assert paths == {"r": "fc", "v": "fc", "v2": "act", "g": "act", "out": ""}


def test_a_weight_that_was_merged_with_equal_ones_is_no_evidence() -> None:
    simplified = model("v = Gemm x b", "v2 = Gelu v", "g = Gemm v2 b", "out = Mul g s", weights="b s")
    assert node_paths(simplified, exported_paths(model(*EXPORTED, weights="w b s")))["v"] == "act"


def test_facts_name_operators_types_modules_and_dtypes() -> None:
    facts = operator_facts(model("y = Add x x", "out = Relu y"), {"y": "stem", "out": ""})
    assert [(fact.name, fact.type, fact.module, fact.dtype, fact.delegated) for fact in facts] == [
        ("y", "Add", "stem", "float32", None),
        ("out", "Relu", "", "float32", None),
    ]
