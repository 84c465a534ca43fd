"""Rules about one module or one operator type, in the files of all three formats."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgedeploy.core.backends import BACKENDS
from edgedeploy.core.recipe import NumberFormat, QuantRecipe, Scope
from edgedeploy.exporters.tflite_file import read_graph

from .small_network import CONVOLUTIONS, SmallExports, modules_of, recipe_of

FLOAT32, STATIC, DYNAMIC = NumberFormat.FLOAT32, NumberFormat.STATIC_INT8, NumberFormat.DYNAMIC_INT8
TYPES = {"onnx": "Conv", "executorch": "aten.conv2d*", "tflite": "CONV_2D"}


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> SmallExports:
    return SmallExports(tmp_path_factory.mktemp("rules"))


def quantized_convolutions(exports: SmallExports, backend: str, recipe: QuantRecipe) -> set[str]:
    """Module paths of the convolutions whose weights are integers in the file."""
    lowered, path = exports.lower(backend, recipe)
    if backend == "onnx":
        import onnx

        graph = onnx.load(str(path)).graph
        integers = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
        named = {fact.name: fact.module for fact in lowered.operators}
        return {named[n.name] for n in graph.node if n.op_type == "Conv" and n.input[1] in integers}
    if backend == "executorch":
        return modules_of(lowered, ["quantized_decomposed.dequantize_per_channel.default"])
    file = read_graph(path.read_bytes())
    facts = zip(file.operators, lowered.operators, strict=True)
    return {fact.module for op, fact in facts if op.type == "CONV_2D" and file.tensors[op.inputs[1]].dtype == "int8"}


@pytest.mark.parametrize("backend", BACKENDS.names())
def test_without_exceptions_all_convolutions_are_quantized(backend: str, exports: SmallExports) -> None:
    assert quantized_convolutions(exports, backend, recipe_of("all", STATIC)) == CONVOLUTIONS


@pytest.mark.parametrize("backend", BACKENDS.names())
def test_one_convolution_stays_in_float_by_its_module(backend: str, exports: SmallExports) -> None:
    recipe = recipe_of("but_one", STATIC, (FLOAT32, Scope(module="stages.1.conv")))
    assert quantized_convolutions(exports, backend, recipe) == CONVOLUTIONS - {"stages.1.conv"}


@pytest.mark.parametrize("backend", BACKENDS.names())
def test_a_pattern_leaves_a_whole_part_in_float(backend: str, exports: SmallExports) -> None:
    recipe = recipe_of("but_stages", STATIC, (FLOAT32, Scope(module="stages.*")))
    assert quantized_convolutions(exports, backend, recipe) == CONVOLUTIONS - {"stages.0.conv", "stages.1.conv"}


@pytest.mark.parametrize("backend", BACKENDS.names())
def test_one_module_is_quantized_in_a_float_network(backend: str, exports: SmallExports) -> None:
    recipe = recipe_of("only_one", FLOAT32, (STATIC, Scope(module="stages.1.*")))
    assert quantized_convolutions(exports, backend, recipe) == {"stages.1.conv"}


@pytest.mark.parametrize("backend", BACKENDS.names())
def test_an_operator_type_stays_in_float(backend: str, exports: SmallExports) -> None:
    recipe = recipe_of("no_convolutions", STATIC, (FLOAT32, Scope(operator=TYPES[backend])))
    assert quantized_convolutions(exports, backend, recipe) == set()


def test_rules_hold_for_dynamic_int8_too(exports: SmallExports) -> None:
    recipe = recipe_of("dynamic_but_one", DYNAMIC, (FLOAT32, Scope(module="stages.1.conv")))
    found = quantized_convolutions(exports, "tflite", recipe)
    assert "stages.1.conv" not in found
    assert found == quantized_convolutions(exports, "tflite", recipe_of("dynamic", DYNAMIC)) - {"stages.1.conv"}


def test_rules_hold_for_half_precision_weights_too(exports: SmallExports, tmp_path: Path) -> None:
    recipe = recipe_of("half_but_one", NumberFormat.FLOAT16_WEIGHTS, (FLOAT32, Scope(module="stages.1.conv")))
    lowered, _ = exports.lower("tflite", recipe)
    assert modules_of(lowered, ["DEQUANTIZE"]) >= CONVOLUTIONS - {"stages.1.conv"}
    assert "stages.1.conv" not in modules_of(lowered, ["DEQUANTIZE"])


def test_many_operators_in_float_are_one_rule_of_litert_s_quantizer(exports: SmallExports) -> None:
    """It searches every rule for every operator and sample: one for each made a large network take a quarter of an hour."""
    all_of_a_type = recipe_of("no_convolutions", STATIC, (FLOAT32, Scope(operator="CONV_2D")))
    one = recipe_of("but_one", STATIC, (FLOAT32, Scope(module="stages.1.conv")))
    counts = {len(exports.lower("tflite", recipe)[0].quantizer_settings) for recipe in (all_of_a_type, one)}
    assert len(counts) == 1
