"""The table of `bench --interleave`."""

from __future__ import annotations

from collections.abc import Sequence

from edgedeploy.cli.tables.layout import PLAIN, Layout
from edgedeploy.cli.tables.text import milliseconds, new_table, render
from edgedeploy.core.results.paired import PairedComparison


def render_pairs(pairs: Sequence[PairedComparison], layout: Layout = PLAIN) -> str:
    """The verdicts of each two artifacts, and below them why, and what the canary did."""
    groups: dict[tuple[str, str], list[PairedComparison]] = {}
    for pair in pairs:
        groups.setdefault((pair.base, pair.head), []).append(pair)
    return "\n".join(_of_two_artifacts(group, layout) for group in groups.values())


def _of_two_artifacts(pairs: Sequence[PairedComparison], layout: Layout) -> str:
    several = [">threads"] if len(pairs) > 1 else []
    table = new_table("verdict", "figure", *several, ">change", ">95 % interval", ">base ms", ">head ms", ">min Δ%")
    for pair in pairs:
        for index, found in enumerate(pair.figures):
            interval = "" if found.low is None or found.high is None else f"{found.low:+.1%} to {found.high:+.1%}"
            table.add_row(
                pair.verdict if index == 0 else "",
                found.metric,
                *([str(pair.threads) if index == 0 else ""] if several else []),
                f"{found.change:+.1%}",
                interval,
                milliseconds(_middle(found.base_ns)),
                milliseconds(_middle(found.head_ns)),
                f"{100 * found.smallest_change:.1f}",
            )
    first = pairs[0]
    lines = [line for pair in pairs for line in _lines(pair)]
    blocks = len(first.head_first)
    return render(f"head {first.head}\nbase {first.base}, in turns, {blocks} blocks", table, *lines, layout=layout)


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
