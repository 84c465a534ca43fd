"""The plots of the HTML page, drawn by matplotlib as SVG.

matplotlib and not a library of JavaScript: the page then needs no script, prints, and opens in a mail. The colours of the
SVG are CSS variables, so that one plot is right in light and in dark.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgedeploy.core.errors import MissingExtra
from edgedeploy.core.measurement import Measurement
from edgedeploy.core.results.comparison import metric_of
from edgedeploy.core.results.history import Series
from edgedeploy.core.results.report import Report
from edgedeploy.core.results.source import short_revision
from edgedeploy.core.storage.cache import cache_folder

from .figures import figure, row_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that stand for CSS variables of the page until the SVG is written.
TEXT, MUTED, FIRST, SECOND, ALARM = "#010101", "#020202", "#030303", "#040404", "#050505"
VARIABLES = {TEXT: "--text", MUTED: "--muted", FIRST: "--first", SECOND: "--second", ALARM: "--alarm"}
WIDTH = 4.8  # inches: on a phone the letters stay readable
SHOWN_ROWS, SHOWN_SERIES, SHOWN_OPERATORS, SHOWN_POINTS = 24, 24, 15, 300
SHOWN_COURSES, SHOWN_PROFILES = 6, 12
LARGEST = 900_000  # bytes of all plots: the page stays one that can be mailed


@dataclass(frozen=True)
class Plot:
    """A plot: its heading, what it shows, and its SVG."""

    title: str
    text: str
    svg: str


@contextlib.contextmanager
def drawing(purpose: str) -> Iterator[None]:
    """A block that draws with matplotlib: text stays text, so that it can be found and selected; nothing depends on chance.

    Its lists of fonts lie in this project's cache folder, unless the user names one. Raises MissingExtra without it.
    """
    folder = os.environ.get("MPLCONFIGDIR")
    os.environ.setdefault("MPLCONFIGDIR", str(cache_folder("matplotlib")))
    try:
        import matplotlib

        matplotlib.get_configdir()  # it remembers its folders
        matplotlib.get_cachedir()
    except ImportError:
        raise MissingExtra("reports", "matplotlib", purpose) from None
    finally:
        if folder is None:
            del os.environ["MPLCONFIGDIR"]
    with matplotlib.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "edgedeploy", "font.size": 9, "text.parse_math": False}
    ):  # a name may have $ in it
        yield


@dataclass(frozen=True)
class Drawn:
    """The plots of a page, and what has none there, so that the page stays small."""

    plots: tuple[Plot, ...]
    left_out: tuple[str, ...]


def draw_plots(report: Report) -> Drawn:
    """The plots that the report has data for; of many rows those that tell most. Raises MissingExtra without matplotlib."""
    timed = [row for row in report.rows if row.samples_ns and not row.device.emulated]
    scattered = [row for row in report.rows if _cost_and_accuracy(row)]
    long = [row for row in report.rows if row.sustained and len(row.sustained.curve) > 1]
    series = [found for found in report.series if len(found.points) > 1]
    profiled = [row for row in report.rows if _costs(row)]
    shown = most_telling(report, timed, SHOWN_ROWS), most_telling(report, scattered, SHOWN_POINTS)
    loaded, barred = most_telling(report, long, SHOWN_COURSES), most_telling(report, profiled, SHOWN_PROFILES)
    drawings: list[tuple[str, Callable[[], Plot]]] = [
        *([("latency", lambda: _distributions(shown[0], report))] if shown[0] else []),
        *([("accuracy", lambda: _pareto(shown[1], report))] if len(shown[1]) > 1 else []),
        *(("continuous load", functools.partial(_under_load, row, report)) for row in loaded),
        *(("operators", functools.partial(_operators, row, report)) for row in barred),
        *(("history", functools.partial(_course, found)) for found in series[:SHOWN_SERIES]),
    ]
    plots: list[Plot] = []
    size, drawn = 0, Counter[str]()
    with drawing("an HTML report"):
        for kind, draw in drawings:
            plot = draw() if size < LARGEST else None
            if plot is not None and size + len(plot.svg.encode()) <= LARGEST:
                plots.append(plot)
                drawn[kind] += 1
                size += len(plot.svg.encode())
    counts = {
        "latency": (len(timed), len(shown[0]) * drawn["latency"]),
        "accuracy": (len(scattered), len(shown[1]) * drawn["accuracy"]) if len(scattered) > 1 else (0, 0),
        **{kind: (len(rows), drawn[kind]) for kind, rows in (("continuous load", long), ("operators", profiled))},
        "history": (len(series), drawn["history"]),
    }
    left_out = [f"{kind}: {there - here} of {there} rows" for kind, (there, here) in counts.items() if there > here]
    return Drawn(tuple(plots), tuple(left_out))


def most_telling(report: Report, rows: Sequence[Measurement], most: int) -> list[Measurement]:
    """At most so many rows, in their order: those that became worse, then the largest changes, else the slowest."""

    def weight(row: Measurement) -> tuple[bool, float, float]:
        compared = report.compared(row)
        change = compared.difference.change if compared and compared.difference else 0.0
        return bool(compared and compared.regressed), abs(change), figure(row) or 0.0

    weights = {index: weight(row) for index, row in enumerate(rows)} if len(rows) > most else {}
    kept = (
        sorted(range(len(rows)), key=lambda index: weights[index], reverse=True)[:most] if weights else range(len(rows))
    )
    return [rows[index] for index in sorted(kept)]


def new_axes(height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """A figure of this size in inches, in the page's colours."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.tick_params(colors=TEXT, labelcolor=TEXT)
    axes.xaxis.label.set_color(TEXT)
    axes.yaxis.label.set_color(TEXT)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(MUTED)
    axes.grid(visible=True, color=MUTED, alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    figure.patch.set_visible(False)
    axes.patch.set_visible(False)
    return figure, axes


def page_svg(drawn: Figure, label: str) -> str:
    """A figure as an element of a page: its identifiers are its own, its colours the page's."""
    text = io.StringIO()
    drawn.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    prefix = re.sub(r"[^a-z0-9]+", "-", label.lower())
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*" height="[^"]*"|<svg ', r"<svg \g<1>", svg, count=1)
    svg = re.sub(r'(<svg [^>]*?) (?:width|height)="[\d.]+pt"', r"\1", svg)
    svg = re.sub(r'(<svg [^>]*?) (?:width|height)="[\d.]+pt"', r"\1", svg)
    return svg.replace("<svg ", '<svg role="img" ', 1).rstrip()


def _distributions(rows: Sequence[Measurement], report: Report) -> Plot:
    """Quartiles, the 5th and 95th percentile, and the median of each row, above those of its base."""
    drawn, axes = new_axes(0.8 + 0.34 * len(rows))
    with_base = False
    for position, row in enumerate(reversed(rows)):
        older = report.base_of(row)
        if older is not None and older.samples_ns:
            with_base = True
            _box(axes, older, position - 0.2, SECOND)
        _box(axes, row, position + (0.15 if older else 0.0), FIRST)
    axes.set_yticks(range(len(rows)), [_lines(report, row) for row in reversed(rows)])
    axes.set_xlabel("ms")
    axes.set_xlim(left=0)
    text = "Line: 5th to 95th percentile; box: quartiles; point: median of all samples."
    text += " The second colour is the base." if with_base else ""
    return Plot("Latency", text, page_svg(drawn, "latency"))


def _lines(report: Report, row: Measurement) -> str:
    """The row's name for a plot: the device below it, since both beside each other leave the plot no room."""
    device = report.device_of(row)
    label = row_label(report, row)
    return f"{label.removesuffix(f' on {device}')}\non {device}" if device else label


def _box(axes: Axes, row: Measurement, position: float, colour: str) -> None:
    low, first, middle, third, high = np.percentile(np.array(row.samples_ns) / 1e6, [5, 25, 50, 75, 95])
    axes.plot([low, high], [position] * 2, color=colour, linewidth=1)
    axes.plot([first, third], [position] * 2, color=colour, linewidth=6, alpha=0.6, solid_capstyle="butt")
    axes.plot([middle], [position], "o", color=colour, markersize=4)


def _cost_and_accuracy(row: Measurement) -> tuple[float, float] | None:
    if row.parity is None or row.parity.labels or row.parity.sqnr_db is None:
        return None
    cost = figure(row)
    return None if cost is None else (cost / 1e6, row.parity.sqnr_db)


def _pareto(rows: Sequence[Measurement], report: Report) -> Plot:
    """Accuracy against cost, and the rows that no other one beats in both."""
    from matplotlib.ticker import MaxNLocator

    found = [(*point, row) for row in rows if (point := _cost_and_accuracy(row))]
    counted = any(row.instructions is not None for *_, row in found)
    front = sorted(
        (cost, accuracy)
        for cost, accuracy, _ in found
        if not any(c <= cost and a >= accuracy and (c, a) != (cost, accuracy) for c, a, _ in found)
    )
    drawn, axes = new_axes(3.4)
    axes.plot(*zip(*front, strict=True), color=SECOND, linewidth=1.2, marker="o", markersize=9, alpha=0.5)
    axes.plot(*zip(*(point[:2] for point in found), strict=True), "o", color=FIRST, markersize=5)
    for number, (cost, accuracy, row) in enumerate(sorted(found, key=lambda point: point[:2])):
        if len(found) > SHOWN_ROWS and (cost, accuracy) not in front:
            continue  # there is no room for all names
        axes.annotate(
            _lines(report, row),
            (cost, accuracy),
            xytext=(4, -4 if number % 2 else 4),  # neighbours' names on different sides
            textcoords="offset points",
            verticalalignment="top" if number % 2 else "bottom",
            color=TEXT,
            fontsize=7,
        )
    by_p90 = any(metric_of(row.protocol) == "p90" for *_, row in found)
    axes.set_xlabel("million instructions" if counted else "median, of mlperf p90, ms" if by_p90 else "median, ms")
    axes.set_ylabel("SQNR, dB")
    axes.margins(x=0.2, y=0.15)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    text = "Signal to quantization noise over cost. On the line: the rows that no other one beats in both."
    return Plot("Accuracy against cost", text, page_svg(drawn, "pareto"))


def _under_load(row: Measurement, report: Report) -> Plot:
    """A row of protocol "sustained": median and 90th percentile over the time, and when it throttled."""
    course = row.sustained
    assert course is not None
    drawn, axes = new_axes(2.4)
    minutes = [point.at_s / 60 for point in course.curve]
    p50, p90 = np.array([(point.p50_ns, point.p90_ns) for point in course.curve]).T / 1e6
    axes.fill_between(minutes, p50, p90, color=FIRST, alpha=0.25, linewidth=0)
    axes.plot(minutes, p50, color=FIRST, linewidth=1.2)
    if course.throttled_after_s is not None:
        axes.axvline(course.throttled_after_s / 60, color=ALARM, linewidth=1, linestyle="--")
    axes.set_xlabel("minutes of inference")
    axes.set_ylabel("ms")
    axes.set_ylim(bottom=0)
    hot = [point.temperature_c for point in course.curve if point.temperature_c is not None]
    text = "Line: median; area: up to the 90th percentile."
    if course.throttled_after_s is not None:
        text += f" Slower by a tenth from {course.throttled_after_s:.0f} s on."
    if hot:
        text += f" {hot[0]:.0f} to {max(hot):.0f} °C."
    title = f"{row_label(report, row)} under continuous load"
    return Plot(title, text, page_svg(drawn, f"load-{title}"))


def _course(series: Series) -> Plot:
    """A row over time, with its change points."""
    from matplotlib.ticker import MaxNLocator

    drawn, axes = new_axes(2.2)
    first = max(0, len(series.points) - SHOWN_POINTS)
    points = series.points[first:]
    values = np.array([point.value for point in points]) / 1e6
    trusted = np.array([point.trustworthy is not False for point in points])
    numbers = np.arange(first, len(series.points))
    axes.plot(numbers[trusted], values[trusted], color=FIRST, linewidth=1, marker="o", markersize=2.5)
    axes.plot(numbers[~trusted], values[~trusted], "x", color=MUTED, markersize=4)
    for change in series.changes:
        if change.index <= first:
            continue
        axes.axvline(change.index - 0.5, color=ALARM, linewidth=1, linestyle="--")
        axes.annotate(
            f"{change.change:+.1%}", (change.index, values.max()), xytext=(3, 0), textcoords="offset points",
            color=ALARM, fontsize=8,
        )  # fmt: skip
    low, high = values.min(), values.max()
    room = max(0.1 * (high - low), 0.02 * high - (high - low) / 2)  # noise of less than 4 % must not look like much
    axes.set_ylim(low - room, high + room)
    axes.set_xlabel("measurement")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("M instructions" if series.key.counted else "median, ms")
    changes = ", ".join(
        f"{change.change:+.1%} at {short_revision(change.revision) or change.index}" for change in series.changes
    )
    title = f"{series.key} on {series.device}"
    text = f"Change points: {changes}." if changes else "No change point."
    text += "" if trusted.all() else " Crosses were not trustworthy."
    text += (
        f" The latest {len(points)} of {len(series.points)}; `edgedeploy history list --json` has all." if first else ""
    )
    return Plot(title, text, page_svg(drawn, f"course-{title}"))


def _operators(row: Measurement, report: Report) -> Plot:
    """The most expensive types of operators, beside those of the base."""
    costs = _costs(row)
    base = report.base_of(row)
    older = _costs(base) if base else {}
    names = sorted(costs, key=lambda name: -costs[name])[:SHOWN_OPERATORS][::-1]
    drawn, axes = new_axes(0.8 + 0.26 * len(names))
    positions = np.arange(len(names))
    axes.barh(positions, [costs[name] / 1e6 for name in names], height=0.4, color=FIRST)
    if older:
        axes.barh(positions - 0.4, [older.get(name, 0.0) / 1e6 for name in names], height=0.3, color=SECOND)
    axes.set_yticks(positions, names)
    axes.set_xlabel("M instructions" if row.instruction_profile else "ms of one inference")
    text = "The most expensive types of operators." + (" The second colour is the base." if older else "")
    return Plot(f"Operators of {row_label(report, row)}", text, page_svg(drawn, f"operators-{row_label(report, row)}"))


def _costs(row: Measurement) -> dict[str, float]:
    """Instructions, or ns in one inference, by type of operator."""
    costs: dict[str, float] = {}
    if row.instruction_profile is not None:
        for counted in row.instruction_profile.operators:
            costs[counted.type] = costs.get(counted.type, 0.0) + counted.instructions
    elif row.profile is not None and not row.device.emulated:
        for timed in row.profile.operators:
            costs[timed.type] = costs.get(timed.type, 0.0) + timed.total_ns / max(row.profile.runs, 1)
    return costs
