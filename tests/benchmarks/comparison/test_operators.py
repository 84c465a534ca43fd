"""Which operator of many of its kind is to blame: profiles as the runtimes write them."""

from __future__ import annotations

from collections.abc import Sequence

from edgedeploy.benchmarks.comparison.operators import operator_changes
from edgedeploy.core.measurement import InstructionProfile, Measurement, OperatorInstructions, OperatorTime, Profile
from tests.cli.rows import measurement

CONVERT, IGEMM, DEPTHWISE = "Convert (NC)", "Convolution (NHWC, QC8) IGEMM", "Convolution (NHWC, QC8) DWConv"
GEMM, ADD = "Fully Connected (NC, QS8, QC8W) GEMM", "Add (ND)"
# The beginning of an int8 profile of TopFormer-tiny: XNNPACK numbers all operators of the delegate.
TOPFORMER = (
    (CONVERT, "", 1_007_862), (IGEMM, "stem.0.c", 8_798_588), (DEPTHWISE, "layer1.conv.0.c", 9_911_828),
    (GEMM, "layer1.conv.2.c", 3_932_474), (ADD, "layer1", 2_556_194), (GEMM, "layer2.conv.0.c", 13_959_482),
    (DEPTHWISE, "layer2.conv.2.c", 7_249_854), (GEMM, "layer2.conv.4.c", 1_954_106), (GEMM, "layer3.conv.0.c", 2_654_522),
    (DEPTHWISE, "layer3.conv.2.c", 5_660_564), (GEMM, "layer3.conv.4.c", 1_630_522), (ADD, "layer3", 639_266),
)  # fmt: skip
Rows = Sequence[tuple[str, str, int]]


def counted(rows: Rows) -> Measurement:
    operators = tuple(
        OperatorInstructions(f"{kind} #{number}", kind, True, cost, 0, 0.0, module)
        for number, (kind, module, cost) in enumerate(rows)
    )
    total = sum(cost for _, _, cost in rows)
    return measurement(instruction_profile=InstructionProfile("cortex-a76", total, 0, operators))


def timed(rows: Rows) -> Measurement:
    operators = tuple(OperatorTime(f"{kind} #{n}", kind, 10, 10 * cost, True) for n, (kind, _, cost) in enumerate(rows))
    return measurement(profile=Profile(10, operators))


def changed(rows: Rows, module: str, factor: float) -> Rows:
    return [(kind, of, round(cost * factor) if of == module else cost) for kind, of, cost in rows]


def test_one_of_many_operators_of_a_kind_is_named_with_its_number_and_module() -> None:
    head = changed(TOPFORMER, "layer2.conv.0.c", 1.1)
    assert list(operator_changes(counted(TOPFORMER), counted(head))) == [
        f"operator {GEMM} #5 of layer2.conv.0.c changed: +1.4 M instructions, +2.33% of the inference"
    ]
    (line,) = operator_changes(timed(TOPFORMER), timed(head))
    assert line.startswith(f"operator {GEMM} #5 changed: +1.4 ms")


def test_one_operator_more_gives_all_later_ones_another_number_and_is_the_only_one_named() -> None:
    head = [*TOPFORMER[:5], (GEMM, "layer1.extra", 2_000_000), *TOPFORMER[5:]]
    assert [line.split(": ")[0] for line in operator_changes(counted(TOPFORMER), counted(head))] == [
        f"operator {GEMM} #5 of layer1.extra is new"
    ]
    assert [line.split(": ")[0] for line in operator_changes(timed(head), timed(TOPFORMER))] == [
        f"operator {GEMM} #5 is gone"
    ]


def test_operators_in_another_order_are_the_same_ones() -> None:
    swapped = [TOPFORMER[1], TOPFORMER[0], *TOPFORMER[2:]]
    assert not list(operator_changes(counted(TOPFORMER), counted(swapped)))


def test_a_profile_that_knows_fewer_modules_is_compared_all_the_same() -> None:
    untraced = [(kind, "", cost) for kind, _, cost in TOPFORMER]
    assert not list(operator_changes(counted(TOPFORMER), counted(untraced)))


def test_an_operator_of_another_module_is_another_operator() -> None:
    head = [*TOPFORMER[:3], (GEMM, "layer9.conv", 3_932_474), *TOPFORMER[4:]]
    assert [line.split(": ")[0] for line in operator_changes(counted(TOPFORMER), counted(head))] == [
        f"operator {GEMM} #3 of layer1.conv.2.c is gone",
        f"operator {GEMM} #3 of layer9.conv is new",
    ]


def test_many_small_changes_are_summed_by_kind() -> None:
    """Fifty operators that each take 2 % longer: none of them is worth a line of its own."""
    base = [(GEMM, f"block{number}", 1_000_000) for number in range(50)]
    head = [(kind, module, 1_020_000) for kind, module, _ in base]
    assert list(operator_changes(timed(base), timed(head))) == [
        f"50 operators {GEMM} changed, each by little: +1 ms, +2.00% of the inference"
    ]


def test_a_count_is_exact_and_a_small_change_of_it_is_named() -> None:
    head = changed(TOPFORMER, "layer3", 1.1)
    assert len(list(operator_changes(counted(TOPFORMER), counted(head)))) == 1
    assert not list(operator_changes(timed(TOPFORMER), timed(head)))
