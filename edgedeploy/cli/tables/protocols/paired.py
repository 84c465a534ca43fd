"""The table of `bench --interleave`."""

from __future__ import annotations

from collections.abc import Sequence

from edgedeploy.cli.tables.layout import PLAIN, Layout
from edgedeploy.cli.tables.text import milliseconds, new_table, render
from edgedeploy.core.results.paired import PairedComparison


def render_pairs(pairs: Sequence[PairedComparison], layout: Layout = PLAIN) -> str:
    """The verdicts, and below them why, and what the canary did."""
    table = new_table(
        ">threads", ">blocks", "figure", ">base ms", ">head ms", ">change", ">95 % interval", ">min Δ%", "verdict"
    )
    for pair in pairs:
        for index, found in enumerate(pair.figures):
            interval = "" if found.low is None or found.high is None else f"{found.low:+.1%} to {found.high:+.1%}"
            table.add_row(
                *((str(pair.threads), str(len(found.base_ns))) if index == 0 else ("", "")),
                found.metric,
                milliseconds(_middle(found.base_ns)),
                milliseconds(_middle(found.head_ns)),
                f"{found.change:+.1%}",
                interval,
                f"{100 * found.smallest_change:.1f}",
                pair.verdict if index == 0 else "",
            )
    first = pairs[0]
    lines = [line for pair in pairs for line in _lines(pair)]
    return render(f"head {first.head}\nbase {first.base}, in turns", table, *lines, layout=layout)


def _lines(pair: PairedComparison) -> list[str]:
    canary = pair.canary
    moved = f"{len(canary.moved_blocks)} of {len(pair.head_first)} blocks"
    lines = [pair.reason] if pair.reason else []
    return [
        *lines,
        *pair.causes,
        f"canary: drift {canary.drift:+.1%}, spread {canary.spread:.1%}, moved by more than 5 % in {moved}",
        f"equal artifacts are called slower or faster once in {1 / pair.false_alarm_rate:.0f} times (exact: "
        f"{', '.join(f'p = {found.p_value:.2g} of {found.metric}' for found in pair.figures)}); "
        f"same means within {pair.margin:.0%}",
    ]


def _middle(values: Sequence[int]) -> int:
    return sorted(values)[len(values) // 2]
