"""The tables of `bench --device qemu --profile`, from records."""

from __future__ import annotations

from edgedeploy.cli.tables.instruction_profiles import render_instruction_profiles
from edgedeploy.cli.tables.layout import Layout
from edgedeploy.core.measurement import InstructionCount, InstructionProfile, OperatorInstructions
from tests.cli.rows import measurement


def operator(type: str, millions: float, *, delegated: bool | None = True, bound: float | None = None):
    count = int(millions * 1e6)
    return OperatorInstructions(
        f"{type} #0", type, delegated, count, count // 10, count / 1e8, f"net.{type.lower()}", None, bound
    )


PROFILE = InstructionProfile(
    "cortex-a76",
    100_000_000,
    2_000_000,
    (
        operator("Add (ND)", 8),
        operator("GEMM", 30, bound=15e6),
        operator("GEMM", 40, bound=20e6),
        operator("SOFTMAX", 20, delegated=False),
    ),
)
COUNT = InstructionCount("cortex-a76", 99_000_000, {}, 0, 0, 0.0)
ROW = measurement(instruction_profile=PROFILE, instructions=COUNT)


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_kinds_come_first_the_largest_first_and_what_is_outside_is_marked() -> None:
    assert lines(render_instruction_profiles([ROW]))[1:9] == [
        "net onnx-fp32: 100.00 M instructions with the profiler, 99.00 M without",
        "operator calls instr M share % useful M × bound",
        "GEMM 2 70.00 70.0 7.00 2.00",
        "SOFTMAX * 1 20.00 20.0 2.00",
        "Add (ND) 1 8.00 8.0 0.80",
        "outside operators 2.00 2.0",
        "* outside the delegate: 20.00 M, 20.0 %",
        "",
    ]


def test_then_the_largest_operators_with_their_modules() -> None:
    assert lines(render_instruction_profiles([ROW], top=2))[-4:] == [
        "net onnx-fp32: the largest operators",
        "operator module instr M share % useful M × bound",
        "GEMM #0 net.gemm 40.00 40.0 4.00 2.00",
        "GEMM #0 net.gemm 30.00 30.0 3.00 2.00",
    ]


def test_the_kinds_that_are_not_shown_are_summed() -> None:
    assert "2 other kinds 2 28.00 28.0 2.80" in lines(render_instruction_profiles([ROW], top=1))
    assert "largest" not in render_instruction_profiles([ROW], top=0)
    assert "3 other kinds 4 98.00 98.0 9.80 2.00" in lines(render_instruction_profiles([ROW], top=0))


def test_long_names_are_folded_and_figures_are_not() -> None:
    kind = "Average Pooling (NHWC, F32) Average Pooling of a very long kind of operator"
    profile = InstructionProfile("cortex-a76", 10**8, 0, (operator(kind, 100),))
    text = render_instruction_profiles([measurement(instruction_profile=profile)], Layout(80))
    assert max(len(line) for line in text.splitlines()) <= 80
    assert text.count("100.00") == 3


def test_rows_without_a_profile_have_no_table() -> None:
    assert render_instruction_profiles([measurement()]) == ""
