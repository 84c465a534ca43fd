"""Which operator of an artifact's file a row of a runtime's profile is.

- **ONNX Runtime** keeps the names of nodes, also of those that it fuses; a node of its own with a new name is not traced.
- **LiteRT** reports the index of an operator outside of its delegate.
- **XNNPACK**, the delegate of LiteRT and ExecuTorch, has other operators than the file and no names, but runs them in the
  file's order, delegate after delegate. The n-th row of a kind is the file's n-th operator of that kind if both have as
  many; where XNNPACK fused or added some of a kind, none of that kind is traced.
- **ExecuTorch's kernels** outside of delegates are traced in the same way.

No kind is traced in which a row executed fewer multiply-accumulate instructions than its operator needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from edgedeploy.android_harness.operator_instructions import OperatorCount
from edgedeploy.core.provenance import OperatorFact

# Multiply-accumulates that one instruction can do at best: FMLA on four floats, SDOT on sixteen int8. A depthwise
# convolution has no dot products, and SMLAL does eight of its int8 products.
FLOAT_MACS_PER_INSTRUCTION = 4
INT8_MACS_PER_INSTRUCTION = 16
DEPTHWISE_INT8_MACS_PER_INSTRUCTION = 8

# kind -> XNNPACK's operators, LiteRT's and ExecuTorch's
KINDS: Mapping[str, tuple[str, ...]] = {
    "layer": (
        *("Fully Connected", "Convolution", "Deconvolution"),
        *("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"),
        *("aten.convolution", "aten.linear", "aten.addmm", "aten.mm"),
    ),
    "matrix product": ("Batch Matrix Multiply", "BATCH_MATMUL", "aten.bmm"),
    "add": ("Add", "ADD", "aten.add"),
    "subtract": ("Subtract", "SUB", "aten.sub"),
    "multiply": ("Multiply", "MUL", "aten.mul"),
    "divide": ("Divide", "DIV", "aten.div"),
    "maximum": ("Maximum", "MAXIMUM", "aten.maximum"),
    "mean": ("Mean", "Mean Squared", "MEAN", "aten.mean"),
    "average pooling": ("Average Pooling", "AVERAGE_POOL_2D", "aten.avg_pool2d"),
    "max pooling": ("Max Pooling", "MAX_POOL_2D", "aten.max_pool2d"),
    "resize": ("Resize Bilinear", "RESIZE_BILINEAR", "aten.upsample_bilinear2d"),
    "softmax": ("Softmax", "SOFTMAX", "aten._softmax"),
    "concatenate": ("Copy", "CONCATENATION", "aten.cat"),
    "slice": ("Slice", "SLICE", "aten.slice_copy"),
    "reshape": ("Static Reshape", "RESHAPE", "aten.view_copy"),
    # ExecuTorch's delegate adds transposes and conversions of its own
    "transpose": ("Transpose", "TRANSPOSE"),
    "conversion": ("Convert", "QUANTIZE", "DEQUANTIZE"),
    "reciprocal root": ("Reciprocal Square Root", "RSQRT", "aten.rsqrt"),
    "pointwise": (
        *("Invalid Unary Op", "Clamp", "GELU", "HardSwish", "Sigmoid", "Tanh"),  # the first is a table of 256 values
        *("RELU", "RELU6", "HARD_SWISH", "LOGISTIC", "TANH"),
        *("aten.relu", "aten.hardtanh", "aten.clamp", "aten.gelu", "aten.hardswish", "aten.sigmoid", "aten.tanh"),
    ),
}
_KIND_OF = {name: kind for kind, names in KINDS.items() for name in names}

T = TypeVar("T")


def trace(runtime: str, rows: Sequence[OperatorCount], facts: Sequence[OperatorFact]) -> list[OperatorFact | None]:
    """The operator of each row; None where it cannot be traced."""
    if runtime == "onnxruntime":
        by_name = {fact.name: fact for fact in facts}
        return [_named(row, by_name) for row in rows]
    if runtime == "litert":
        outside = [None if row.delegated else _indexed(row, facts) for row in rows]
    else:
        outside = _in_order(
            rows,
            facts,
            lambda row: None if row.delegated else row.type,
            lambda fact: None if fact.delegated else fact.type,
        )
    inside = _in_order(
        rows,
        sorted((fact for fact in facts if fact.delegate is not None), key=lambda fact: fact.delegate or 0),
        lambda row: _KIND_OF.get(_base(row.type)) if row.delegated else None,
        lambda fact: _KIND_OF.get(_base(fact.type)),
    )
    return [found or other for found, other in zip(inside, outside, strict=True)]


def bound_of(fact: OperatorFact) -> float | None:
    """The fewest instructions that an operator's multiply-accumulates could take; None where it has none."""
    if not fact.macs:
        return None
    if not fact.int8:
        return fact.macs / FLOAT_MACS_PER_INSTRUCTION
    return fact.macs / (DEPTHWISE_INT8_MACS_PER_INSTRUCTION if fact.depthwise else INT8_MACS_PER_INSTRUCTION)


def _named(row: OperatorCount, facts: Mapping[str, OperatorFact]) -> OperatorFact | None:
    """ONNX Runtime appends `_token_N` to the names of the nodes that it makes out of others, and `/what it did`."""
    numbered = re.sub(r"_token_\d+$", "", row.name)
    return facts.get(row.name) or facts.get(numbered) or facts.get(re.sub(r"/\w+$", "", numbered))


def _indexed(row: OperatorCount, facts: Sequence[OperatorFact]) -> OperatorFact | None:
    """`TYPE #index` is the file's operator of that index."""
    index = int(row.name.rpartition("#")[2])
    return facts[index] if index < len(facts) and facts[index].type == row.type else None


def _base(type: str) -> str:
    """`Add (ND)` is Add, `aten.add.Tensor` is aten.add."""
    return ".".join(type.split(".")[:2]) if type.startswith("aten.") else type.partition(" (")[0]


def _in_order(
    rows: Sequence[OperatorCount],
    facts: Sequence[OperatorFact],
    kind_of_row: Callable[[OperatorCount], str | None],
    kind_of_fact: Callable[[OperatorFact], str | None],
) -> list[OperatorFact | None]:
    """The n-th fact of a kind for the n-th row of that kind, where there are as many of both; a kind of None has none."""
    found: list[OperatorFact | None] = [None] * len(rows)
    of_kind = _grouped(facts, kind_of_fact)
    for kind, indices in _grouped(range(len(rows)), lambda index: kind_of_row(rows[index])).items():
        same = of_kind.get(kind, [])
        pairs = list(zip((rows[index] for index in indices), same, strict=False))
        if len(same) == len(indices) and all(_fits(row, fact) for row, fact in pairs):
            for index, fact in zip(indices, same, strict=True):
                found[index] = fact
    return found


def _grouped(items: Sequence[T], kind_of: Callable[[T], str | None]) -> dict[str, list[T]]:
    groups: dict[str, list[T]] = {}
    for item in items:
        kind = kind_of(item)
        if kind is not None:
            groups.setdefault(kind, []).append(item)
    return groups


def _fits(row: OperatorCount, fact: OperatorFact) -> bool:
    """False where the row cannot be this operator, by the multiply-accumulate instructions that it executed.

    Without dot products (older CPUs, depthwise kernels) int8 leaves no such instructions.
    """
    if "DWConv" in row.type and not fact.depthwise:
        return False
    if not fact.macs or fact.depthwise or not row.useful:
        return True
    bound = bound_of(fact)
    return bound is None or row.useful >= bound
