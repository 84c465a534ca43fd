"""The table of `bench --protocol sustained`."""

from __future__ import annotations

from collections.abc import Sequence

from edgedeploy.cli.tables.layout import PLAIN, Layout
from edgedeploy.cli.tables.text import milliseconds, new_table, render
from edgedeploy.core.measurement import Measurement
from edgedeploy.core.results.sustained import Sustained

FIRSTS = {"minute": ("min 1", "at minute 1"), "third": ("1st third", "in the first third")}  # in a header, in words
BARS = "▁▂▃▄▅▆▇█"


def render_sustained(rows: Sequence[Measurement], layout: Layout = PLAIN) -> str:
    """How each row held up, its curve, and whether the order of the rows at the end is that of the first minute."""
    courses = [(row, row.sustained) for row in rows if row.sustained]
    parts = {course.part for _, course in courses}
    short, first = FIRSTS[next(iter(parts))] if len(parts) == 1 else ("start", "at the beginning")
    table = new_table(
        "model",
        "target",
        f">{short} p50",
        f">{short} p90",
        ">end p50",
        ">end p90",
        ">steady p50",
        ">steady p90",
        ">slow after",
    )
    for row, course in courses:
        steady = course.steady
        table.add_row(
            row.model,
            row.target,
            milliseconds(course.first.p50_ns),
            milliseconds(course.first.p90_ns),
            milliseconds(course.last.p50_ns),
            milliseconds(course.last.p90_ns),
            milliseconds(steady.p50_ns if steady else None),
            milliseconds(steady.p90_ns if steady else None),
            "never" if course.throttled_after_s is None else f"{course.throttled_after_s:.0f} s",
        )
    lines = [f"{_curve(course)}  {row.model} {row.target}" for row, course in courses]
    return render("under continuous load; milliseconds", table, *lines, *_order(courses, first), layout=layout)


def _curve(course: Sustained) -> str:
    """The medians of the windows, each as a bar between the lowest and the highest."""
    medians = [point.p50_ns for point in course.curve]
    low, high = min(medians), max(medians)
    bars = "".join(BARS[round((len(BARS) - 1) * (value - low) / max(high - low, 1))] for value in medians)
    return f"{bars}  {low / 1e6:.2f} to {high / 1e6:.2f} ms"


def _order(courses: Sequence[tuple[Measurement, Sustained]], first: str) -> list[str]:
    if len(courses) < 2:
        return []
    firsts = sorted(courses, key=lambda found: found[1].first.p50_ns)
    lasts = sorted(courses, key=lambda found: found[1].last.p50_ns)
    orders = [[f"{row.model}/{row.target}" for row, _ in found] for found in (firsts, lasts)]
    if orders[0] == orders[1]:
        return [f"the fastest first, {first} and at the end: {', '.join(orders[0])}"]
    return [
        "the order changes under load:",
        f"{first}, the fastest first: {', '.join(orders[0])}",
        f"at the end: {', '.join(orders[1])}",
    ]
