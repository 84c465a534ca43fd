"""The tables of bench --interleave and --protocol sustained."""

from __future__ import annotations

from dataclasses import replace

from edgedeploy.benchmarks.statistics.sustained import compare_periods, describe_sustained
from edgedeploy.cli.tables.protocols.paired import render_pairs
from edgedeploy.cli.tables.protocols.sustained import render_sustained
from edgedeploy.core.results.paired import Canary, PairedComparison, PairedFigure
from tests.cli.rows import measurement

FIGURE = PairedFigure("p10", (1_000_000,) * 12, (1_100_000,) * 12, 0.1, 0.09, 0.12, 0.0005, 0.02)
PAIR = PairedComparison(
    base="a/onnx-fp32 (x)",
    head="b/onnx-fp32 (y)",
    threads=1,
    verdict="slower",
    reason="",
    figures=(FIGURE, replace(FIGURE, metric="median")),
    false_alarm_rate=0.005,
    margin=0.05,
    seed=0,
    head_first=(True, False) * 6,
    canary=Canary((500_000,) * 13, 0.0, 0.01, (3,)),
    causes=("operator conv (Conv) is new: +0.1 ms, +10.0% of the inference",),
)


def test_a_pair_says_which_is_slower_by_how_much_how_sure_and_why() -> None:
    text = render_pairs([PAIR])
    for expected in ("head b/onnx-fp32 (y)", "+10.0%", "+9.0% to +12.0%", "slower", "operator conv (Conv) is new"):
        assert expected in text
    assert "moved by more than 5 % in 1 of 12 blocks" in text
    assert "p = 0.0005 of p10" in text


def test_pairs_of_other_artifacts_stand_below_their_own_names() -> None:
    """A report of several files."""
    other = replace(PAIR, base="c/onnx-fp32 (x)", head="d/onnx-fp32 (y)", verdict="same")
    first, second = render_pairs([PAIR, other]).split("\n\n")
    assert first.startswith("head b/onnx-fp32 (y)\nbase a/onnx-fp32 (x), in turns, 12 blocks")
    assert second.startswith("head d/onnx-fp32 (y)\nbase c/onnx-fp32 (x), in turns, 12 blocks")
    assert ("slower" in first.split("canary")[0], "same " in second.split("canary")[0]) == (True, True)


def test_the_order_under_load_is_shown_where_it_changes() -> None:
    def held_up(name: str, first_ms: float, last_ms: float) -> object:
        samples = [round(first_ms * 1e6)] * 6000 + [round(last_ms * 1e6)] * 6000
        return measurement(model=name, sustained=describe_sustained(samples))

    cool, hot = held_up("cool", 20, 20), held_up("hot", 18, 30)
    text = render_sustained([cool, hot])  # type: ignore[list-item]
    assert "at minute 1, the fastest first: hot/onnx-fp32, cool/onnx-fp32" in text
    assert "at the end: cool/onnx-fp32, hot/onnx-fp32" in text
    assert "never" in text
    assert "18.00 to 30.00 ms  hot onnx-fp32" in text


def test_a_run_of_less_than_three_minutes_has_thirds_and_no_minute() -> None:
    short = measurement(sustained=describe_sustained([10_000_000] * 6000))
    text = render_sustained([short, short])
    assert "1st third p50" in text
    assert "in the first third and at the end" in text
    assert "min" not in text
    first, last = compare_periods([10_000_000] * 6000, [11_000_000] * 6000)
    assert str(first).startswith("in the first third: p50 10.00 -> 11.00 ms")
    assert str(last).startswith("at the end: ")
