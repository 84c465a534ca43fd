"""The rules of the delegates, one operator at a time."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from edgedeploy.pipeline.explain import executorch_rules, onnx_rules
from edgedeploy.pipeline.explain.litert_rules import RULES, Operator, Tensor, refusal_of
from edgedeploy.pipeline.explain.onnx_rules import Surroundings

MAP = (1, 8, 8, 4)


def real(*shape: int, constant: bool = False) -> Tensor:
    return Tensor("float32", shape or MAP, constant=constant)


def int8(*shape: int, scale: float = 0.1, zero: int = 0, constant: bool = False) -> Tensor:
    return Tensor("int8", shape or MAP, (scale,), (zero,), constant=constant)


def weights(*shape: int, zero: int = 0) -> Tensor:
    return Tensor("int8", shape, (0.1,) * 4, (zero,) * 4, axis=0, constant=True)


BIAS = Tensor("int32", (4,), (0.01,) * 4, (0,) * 4, constant=True)
SHAPE = Tensor("int32", (2,), constant=True)
PRODUCT = SimpleNamespace(adjX=False, adjY=False)
CORNER = Tensor("int32", (4,), constant=True, integers=(0, 0, 0, 0))
EVERY, EVERY_SECOND = (replace(CORNER, integers=steps) for steps in ((1, 1, 1, 1), (1, 2, 2, 1)))
NO_MASKS = SimpleNamespace(ellipsisMask=0, newAxisMask=0, shrinkAxisMask=0)
TAKEN = [
    Operator("STRIDED_SLICE", (real(), CORNER, CORNER, EVERY), (real(),), NO_MASKS),
    Operator("CONV_2D", (int8(), weights(4, 3, 3, 4), BIAS), (int8(),)),
    Operator("CONV_2D", (real(), real(4, 3, 3, 4, constant=True), real(4, constant=True)), (real(),)),
    Operator("GELU", (real(),), (real(),)),
    Operator("SOFTMAX", (real(),), (real(),), SimpleNamespace(beta=1.0)),
    Operator("BATCH_MATMUL", (int8(1, 4, 8, zero=3), int8(1, 8, 4)), (int8(1, 4, 4),), PRODUCT),
    Operator("ADD", (int8(scale=0.1), int8(scale=0.2)), (int8(scale=0.3),)),
    Operator("RESIZE_BILINEAR", (int8(), SHAPE), (int8(),)),
    Operator("DEQUANTIZE", (int8(),), (real(),)),
    Operator("CONCATENATION", (int8(),) * 5, (int8(),)),
]
REFUSED = [
    ("operator", Operator("RESIZE_NEAREST_NEIGHBOR", (real(), SHAPE), (real(),))),
    ("dtype", Operator("GELU", (int8(),), (int8(),))),
    ("dtype", Operator("SOFTMAX", (int8(),), (int8(),), SimpleNamespace(beta=1.0))),
    ("dtype", Operator("CONV_2D", (real(), weights(4, 3, 3, 4), BIAS), (int8(),))),
    ("option", Operator("SOFTMAX", (real(),), (real(),), SimpleNamespace(beta=2.0))),
    ("zero point", Operator("BATCH_MATMUL", (int8(1, 4, 8), int8(1, 8, 4, zero=-7)), (int8(1, 4, 4),), PRODUCT)),
    ("zero point", Operator("CONV_2D", (int8(), weights(4, 3, 3, 4, zero=1), BIAS), (int8(),))),
    ("scale", Operator("ADD", (int8(scale=0.1), int8(scale=200.0)), (int8(scale=0.3),))),
    ("scale", Operator("MUL", (int8(scale=30.0), int8(scale=30.0)), (int8(scale=0.1),))),
    ("scale", Operator("RESHAPE", (int8(scale=0.1), SHAPE), (int8(scale=0.2),))),
    ("constant", Operator("FULLY_CONNECTED", (real(4, 4), real(4, 4)), (real(4, 4),))),
    ("constant", Operator("CONV_2D", (real(), real(4, 3, 3, 4), real(4, constant=True)), (real(),))),
    ("option", Operator("STRIDED_SLICE", (real(), CORNER, CORNER, EVERY_SECOND), (real(1, 4, 4, 4),), NO_MASKS)),
    ("rank", Operator("RELU", (real(1, 1, 1, 1, 1, 1, 4),), (real(1, 1, 1, 1, 1, 1, 4),))),
    ("shape", Operator("CONV_2D", (real(), real(4, 3, 3, 4, constant=True)), (real(),))),
    ("shape", Operator("CONCATENATION", (real(),) * 6, (real(),))),
]


@pytest.mark.parametrize("operator", TAKEN, ids=lambda operator: operator.type)
def test_the_delegate_takes_what_it_has_a_kernel_for(operator: Operator) -> None:
    assert refusal_of(operator) is None


@pytest.mark.parametrize(("kind", "operator"), REFUSED, ids=lambda value: getattr(value, "type", value))
def test_a_refusal_has_its_kind_and_a_reason(kind: str, operator: Operator) -> None:
    refusal = refusal_of(operator)
    assert refusal is not None
    assert refusal.kind == kind
    assert len(refusal.reason) > 10


def test_the_table_has_only_operators_of_the_format() -> None:
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    assert set(RULES) <= set(vars(BuiltinOperator))


@pytest.mark.parametrize(
    ("type", "dtype", "kind"),
    [
        ("native_layer_norm.out", "float32", "operator"),
        ("mean.out", "float32", "shape"),
        ("_softmax.out", "float32", "shape"),
        ("aten.add.Tensor", "int64", "dtype"),
    ],
)
def test_executorch_leaves_operators_for_a_reason(type: str, dtype: str, kind: str) -> None:
    assert executorch_rules.refusal_of(type, dtype).kind == kind


def test_the_partitioner_has_a_rule_for_each_operator_of_the_table() -> None:
    from executorch.backends.xnnpack.partition.config import ALL_PARTITIONER_CONFIGS

    rules = {config.target_name.split(".")[0] for config in ALL_PARTITIONER_CONFIGS}
    of_layers = {"dequantize_per_channel", "choose_qparams"}  # taken with the layer that they are for
    affine = {name for name in rules if name.endswith("_affine")}
    assert rules - affine | of_layers == executorch_rules.TAKEN


@pytest.mark.parametrize(
    ("type", "around", "kind"),
    [
        ("Conv", Surroundings(inputs=True, outputs=True), None),
        ("Reshape", Surroundings(inputs=False, outputs=False), None),
        ("Gelu", Surroundings(inputs=True, outputs=True), "operator"),
        ("Add", Surroundings(inputs=False, outputs=True), "neighbours"),
        ("Mul", Surroundings(inputs=True, outputs=False), "neighbours"),
        ("MatMul", Surroundings(inputs=True, outputs=False), None),
        ("MatMulInteger", Surroundings(inputs=False, outputs=False), None),
        ("Cast", Surroundings(inputs=False, outputs=False), "operator"),
        ("Cast", Surroundings(inputs=False, outputs=False, of_dynamic=True), None),
    ],
)
def test_onnx_runtime_needs_a_kernel_and_integers_around_it(type: str, around: Surroundings, kind: str | None) -> None:
    refusal = onnx_rules.refusal_of(type, around)
    assert (refusal.kind if refusal else None) == kind
