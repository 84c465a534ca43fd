"""Budgets: kept, exceeded or unknown, and what is wrong with one that cannot be read."""

from __future__ import annotations

from typing import Any

import pytest

from edgedeploy.benchmarks.comparison.budgets import check_budgets, idle_budgets, parse_budgets
from edgedeploy.core.errors import EdgedeployError, NotTrustworthy
from edgedeploy.core.measurement import InstructionCount, Measurement
from edgedeploy.core.results.comparison import Comparison
from edgedeploy.pipeline.results.compare import check_comparison
from tests.cli.rows import measurement


def counted() -> Measurement:
    count = InstructionCount("cortex-a76", 10**6, {}, 10**6, 10**6, 0.0)
    return measurement(instructions=count, samples_ns=(), sample_launches=(), latency_ns=None)


def compared(row: Measurement, table: dict[str, Any]) -> Comparison:
    budgets = parse_budgets(table)
    found = check_budgets([row], budgets), idle_budgets([row], budgets)
    return Comparison(
        base="base", head="head", rows=(), false_alarm_rate=0.005, margin=0.05, budgets=found[0], idle_budgets=found[1]
    )


def test_budgets_hold_for_the_rows_that_they_name() -> None:
    table = {
        "net/onnx-fp32 on pixel7": ["p90 <= 1 ms", "median >= 1 us"],
        "net/onnx-fp32 on pixel6": "p90 <= 1 ms",
        "net/onnx-fp32": "size <= 4 MiB",
    }
    found = compared(measurement(), table)
    assert [(budget.metric, budget.passed) for budget in found.budgets] == [
        ("net/onnx-fp32 on pixel7: p90 <= 1 ms", False),
        ("net/onnx-fp32 on pixel7: median >= 0.001 ms", True),
        ("net/onnx-fp32: size <= 4 MiB", True),
    ]
    assert [idle.budget for idle in found.idle_budgets] == ["net/onnx-fp32 on pixel6: p90 <= 1 ms"]


@pytest.mark.parametrize(
    ("name", "rule", "message"),
    [
        ("net", "p90 <= 1 ms", "cannot be read"),
        ("a/b", "p90 < 1", "cannot be read"),
        ("a/b", "p90 <= 2.3.4 ms", r"'a/b' = 'p90 <= 2.3.4 ms' in edgedeploy.toml cannot be read"),
        ("a/b", "p90 <= . ms", "cannot be read"),
        ("a/b", "p09 <= 1 ms", "'p90'"),
        ("a/b", "p90 <= 2 MiB", "has the unit 'MiB'; p90 is given in ns or us or µs or ms or s"),
        ("a/b", "size <= 2 ms", "size is given in B or KiB or MiB or GiB"),
        ("a/b", "sqnr >= 30 M", "sqnr is given in dB"),
        ("a/b", "p90 <= 35", "has no unit; p90 is given in ns or us"),
    ],
)
def test_a_budget_that_cannot_be_read_is_an_error_with_an_example(name: str, rule: str, message: str) -> None:
    with pytest.raises(EdgedeployError, match=message) as error:
        parse_budgets({name: rule})
    assert error.value.exit_code == 2
    assert error.value.hint


def test_a_budget_whose_figure_was_not_measured_is_unknown_and_fails_where_trust_is_required() -> None:
    found = compared(measurement(), {"net/onnx-fp32": ["p99 <= 9 ms", "sqnr >= 30 dB", "p90 <= 9 ms"]})
    assert [budget.judged for budget in found.budgets] == [False, False, True]
    assert "p99 takes 368 samples and the row has 50" in found.budgets[0].text
    assert found.headline.endswith("; 2 budgets unknown")
    check_comparison(found)
    with pytest.raises(NotTrustworthy, match="2 budgets could not be judged") as error:
        check_comparison(found, require_trust=True)
    assert error.value.exit_code == 4


@pytest.mark.parametrize(
    ("name", "rule", "reason"),
    [
        ("nte/onnx-fp32", "p90 <= 9 ms", "no row is of nte/onnx-fp32; did you mean net/onnx-fp32?"),
        ("other/thing", "p90 <= 9 ms", "no row is of other/thing; there is net/onnx-fp32"),
        ("net/onnx-fp32 on pixel77", "p90 <= 9 ms", "not measured on pixel77; did you mean Google Pixel 7?"),
        ("net/onnx-fp32", "instructions <= 1 M", "no instructions were counted"),
    ],
)
def test_a_budget_that_no_row_is_about_is_said_with_the_nearest_names(name: str, rule: str, reason: str) -> None:
    (line,) = compared(measurement(), {name: rule}).unknown_budgets()
    assert reason in line


def test_trust_takes_one_budget_whose_artifact_was_measured_and_no_more() -> None:
    """One edgedeploy.toml serves several runs: a budget of another device, or of time, is no error in a count."""
    with pytest.raises(NotTrustworthy, match=r"no budget of edgedeploy\.toml is about what was measured"):
        check_comparison(compared(counted(), {"nte/onnx-fp32": "size <= 9 MiB"}), require_trust=True)
    for table in ({"net/onnx-fp32 on pixel9": "p90 <= 1 ms"}, {"net/onnx-fp32": "p90 <= 1 ms", "nte/x": "p90 <= 1 ms"}):
        found = compared(counted(), table)
        assert len(found.idle_budgets) == len(table)
        check_comparison(found, require_trust=True)


def test_the_size_of_a_file_has_its_budget_where_instructions_were_counted_and_counts_once() -> None:
    budgets = parse_budgets({"net/onnx-fp32": "size <= 2 MiB"})
    rows = [counted(), measurement(threads=1), measurement(threads=4)]
    assert [(budget.passed, budget.text) for budget in check_budgets(rows, budgets)] == [(False, "3 MiB")]
