"""Rows of a profile are traced to the file's operators, or not at all."""

from __future__ import annotations

import pytest

from edgedeploy.android_harness.operator_instructions import OperatorCount
from edgedeploy.benchmarks.executors.operator_tracing import bound_of, trace
from edgedeploy.core.provenance import OperatorFact

GEMM, DEPTHWISE, ADD = "Fully Connected (NC, QS8, QC8W) GEMM", "Convolution (NHWC, QC8) DWConv", "Add (ND)"


def row(type: str, *, name: str = "", delegated: bool | None = True, useful: int = 0) -> OperatorCount:
    return OperatorCount(name or type, type, delegated, 1000, useful)


def fact(
    type: str, module: str, *, name: str = "", delegate: int | None = 0, macs: int = 0, depthwise: bool = False
) -> OperatorFact:
    inside = delegate is not None
    return OperatorFact(name, type, module, inside, "int8", delegate, macs, int8=macs > 0, depthwise=depthwise)


def modules(runtime: str, rows: list[OperatorCount], facts: list[OperatorFact]) -> list[str | None]:
    return [found.module if found else None for found in trace(runtime, rows, facts)]


def test_operators_of_one_kind_in_a_delegate_are_traced_by_their_order() -> None:
    rows = [row(GEMM, useful=8), row(DEPTHWISE), row(ADD), row(GEMM, useful=4)]
    facts = [
        fact("PAD", "a"),
        fact("CONV_2D", "a", macs=128),
        fact("DEPTHWISE_CONV_2D", "b", macs=64, depthwise=True),
        fact("ADD", "c"),
        fact("CONV_2D", "d", macs=64),
    ]
    assert modules("litert", rows, facts) == ["a", "b", "c", "d"]


def test_a_kind_of_which_the_delegate_has_more_or_fewer_is_not_traced() -> None:
    facts = [fact("aten.linear.default", "a", macs=64), fact("aten.mul.Tensor", "b"), fact("aten.mul.Tensor", "c")]
    assert modules("executorch", [row(GEMM, useful=4), row("Multiply (ND)")], facts) == ["a", None]


def test_a_layer_that_executed_too_little_for_its_module_is_not_traced() -> None:
    facts = [fact("CONV_2D", "large", macs=1600), fact("CONV_2D", "small", macs=16)]
    assert modules("litert", [row(GEMM, useful=1), row(GEMM, useful=100)], facts) == [None, None]
    assert modules("litert", [row(GEMM, useful=100), row(GEMM, useful=1)], facts) == ["large", "small"]


def test_a_depthwise_kernel_is_not_traced_to_a_dense_convolution() -> None:
    assert modules("litert", [row(DEPTHWISE)], [fact("CONV_2D", "dense", macs=64)]) == [None]


def test_delegates_are_followed_in_the_order_of_their_execution() -> None:
    facts = [fact("ADD", "second", delegate=1), fact("ADD", "first", delegate=0)]
    assert modules("litert", [row(ADD), row(ADD)], facts) == ["first", "second"]


def test_litert_names_the_operator_outside_of_its_delegate() -> None:
    facts = [fact("ADD", "a"), fact("SOFTMAX", "b", delegate=None)]
    rows = [row("SOFTMAX", name="SOFTMAX #1", delegated=False), row("SOFTMAX", name="SOFTMAX #0", delegated=False)]
    assert modules("litert", rows, facts) == ["b", None]


def test_executorchs_kernels_are_traced_by_their_order_too() -> None:
    facts = [fact("expand_copy.out", name, delegate=None) for name in ("a", "b")]
    rows = [row("expand_copy.out", delegated=False), row("mean.out", delegated=False)] * 2
    assert modules("executorch", rows, facts) == ["a", None, "b", None]


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("node_conv", "a"),
        ("node_conv_token_23", "a"),
        ("node_conv/duplicated", "a"),
        ("node_conv/GatherSliceToSplitFusion", "a"),
        ("Transpose_token_23", None),
        ("", None),
    ],
)
def test_onnx_runtime_keeps_names_through_its_fusions(name: str, module: str | None) -> None:
    facts = [fact("Conv", "a", name="node_conv", delegate=None)]
    assert modules("onnxruntime", [row("QLinearConv", name=name, delegated=None)], facts) == [module]


def test_the_bound_depends_on_what_is_multiplied() -> None:
    macs = 1600
    assert bound_of(OperatorFact("", "", macs=macs)) == macs / 4
    assert bound_of(OperatorFact("", "", macs=macs, int8=True)) == macs / 16
    assert bound_of(OperatorFact("", "", macs=macs, int8=True, depthwise=True)) == macs / 8
    assert bound_of(OperatorFact("", "", macs=macs, depthwise=True)) == macs / 4
    assert bound_of(OperatorFact("", "", macs=0)) is bound_of(OperatorFact("", "")) is None
