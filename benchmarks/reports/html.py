"""One HTML page that opens from the disk: no script, no network, light and dark, readable on a phone."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from edgedeploy.core.device import hottest_c
from edgedeploy.core.measurement import Measurement
from edgedeploy.core.results.report import Report

from .figures import figure_text, interval_text, rate_text, row_label, sqnr_text, verdict_text
from .plots import Drawn, draw_plots

COLUMNS = ("row", "verdict", "figure", "95 %, ms", "p90, ms", "load, ms", "peak MiB", "MiB", "SQNR dB")
# Bytes of a list and of the table: with the plots and all lists the page stays under 1.5 MB, however many rows there are.
LARGEST_LIST, LARGEST_TABLE = 40_000, 250_000
MANY_ROWS = 200
MORE = "The result file has everything; edgedeploy report --only MODEL/TARGET makes a page of some rows."
STYLE = """
:root { color-scheme: light dark; --page: #fff; --text: #1b1f24; --muted: #6a737d; --line: #d8dee4; --first: #0b62c4;
  --second: #c2571a; --alarm: #b3261e; --good: #1a7f37; --doubt: #8a5a00; }
@media (prefers-color-scheme: dark) { :root { --page: #14171b; --text: #e6e9ed; --muted: #9aa4af; --line: #343b43;
  --first: #6cb0ff; --second: #ffa15c; --alarm: #ff8a80; --good: #5bd075; --doubt: #f0b429; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 70rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.1rem; margin-top: 2rem; } h3 { font-size: 1rem; margin: 0 0 .25rem; }
.failed h1 { color: var(--alarm); } .unsure h1 { color: var(--doubt); } .passed h1 { color: var(--good); }
.mark { padding: .5rem .75rem; border-left: .25rem solid var(--doubt); color: var(--doubt); font-weight: 600; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .875rem; }
th, td { padding: .3rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
td:nth-child(2) { white-space: normal; min-width: 12rem; }
tr.slower td:nth-child(2) { color: var(--alarm); } tr.faster td:nth-child(2) { color: var(--good); }
tr.unknown td:nth-child(2) { color: var(--doubt); }
.plots { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); }
figure { margin: 0; min-width: 0; } figcaption, .muted { color: var(--muted); font-size: .875rem; }
svg { display: block; width: 100%; height: auto; } svg text { font-family: system-ui, sans-serif; }
h3, li, td, figcaption { overflow-wrap: anywhere; }
"""


def render_html(report: Report) -> str:
    """The page. Raises MissingExtra without matplotlib."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>edgedeploy: {escape(report.headline)}</title>\n<style>{STYLE}</style>\n</head>"
    yield f'<body class="{report.status}">\n<h1>{escape(report.headline)}</h1>'
    if report.comparison:
        yield f'<p class="muted">{escape(report.comparison.base)} → {escape(report.comparison.head)}</p>'
        yield from _list(report.comparison.regressions())
        if report.comparison.forced:
            yield '<p class="mark">Compared although device or conditions differ (--force): see the remarks.</p>'
    yield from _list(pair.text for pair in report.pairs)
    yield from _causes(report)
    remarks = list(report.remarks())
    if remarks:
        yield "<h2>Remarks</h2>"
        yield from _list(remarks)
    yield "<h2>Measurements</h2>"
    yield from _table(report)
    yield from _plots(draw_plots(report))
    yield "<h2>Conditions</h2>"
    yield from _list(dict.fromkeys(_conditions(row) for row in report.rows))
    doubted = [row for row in report.rows if row.verdict and not row.verdict.trustworthy and not report.pair_of(row)]
    if doubted:
        yield "<h2>What was not trusted</h2>"
        yield from _list(
            f"{row_label(report, row)}: {doubt.reason}; try: {doubt.advice}"
            for row in doubted
            for doubt in (row.verdict.doubts if row.verdict else ())
        )
    yield f'<p class="muted">{escape(_footer(report))}</p>\n</body>\n</html>'


def _plots(drawn: Drawn) -> Iterator[str]:
    if drawn.plots:
        yield '<h2>Plots</h2>\n<div class="plots">'
        for plot in drawn.plots:
            svg = plot.svg.replace('role="img"', f'role="img" aria-label="{escape(plot.title)}"', 1)
            yield f"<figure><h3>{escape(plot.title)}</h3>{svg}<figcaption>{escape(plot.text)}</figcaption></figure>"
        yield "</div>"
    if drawn.left_out:
        yield f'<p class="muted">Without a plot, so that the page stays small: {"; ".join(drawn.left_out)}. {MORE}</p>'


def _list(lines: Iterable[str]) -> Iterator[str]:
    items, left = _within([f"<li>{escape(line)}</li>" for line in lines], LARGEST_LIST)
    if items:
        yield f"<ul>\n{chr(10).join(items)}\n</ul>"
    if left:
        yield f'<p class="muted">{left} more lines are left out. {MORE}</p>'


def _within(parts: Sequence[str], most: int) -> tuple[list[str], int]:
    """The first parts that have at most so many bytes together, and how many are left."""
    sizes = itertools.accumulate(len(part.encode()) + 1 for part in parts)
    count = sum(size <= most for size in sizes)
    return list(parts[:count]), len(parts) - count


def _causes(report: Report) -> Iterator[str]:
    rows = report.comparison.rows if report.comparison else ()
    causes = [f"{row.key}: {cause}" for row in rows if row.regressed for cause in row.causes]
    causes += [f"{pair.head}: {cause}" for pair in report.pairs for cause in pair.causes]
    if causes:
        yield "<h2>Possible causes</h2>"
        yield from _list(causes)


def _table(report: Report) -> Iterator[str]:
    yield '<div class="scroll"><table>\n<thead><tr>'
    yield "".join(f'<th scope="col">{escape(column)}</th>' for column in COLUMNS) + "</tr></thead>\n<tbody>"
    rows, left = _within([_row(report, row) for row in _worst_first(report)], LARGEST_TABLE)
    yield from rows
    yield "</tbody></table></div>"
    if left:
        yield f'<p class="muted">{left} more rows are left out. {MORE}</p>'


def _worst_first(report: Report) -> list[Measurement]:
    """The rows in their order; of very many, those that became worse before the others."""
    if len(report.rows) <= MANY_ROWS:
        return list(report.rows)
    return sorted(report.rows, key=lambda row: not ((compared := report.compared(row)) and compared.regressed))


def _row(report: Report, row: Measurement) -> str:
    compared = report.compared(row)
    kind = "slower" if compared and compared.regressed else compared.verdict if compared else _kind(report, row)
    cells = "".join(f"<td>{escape(cell)}</td>" for cell in _cells(report, row))
    return f'<tr class="{kind}">{cells}</tr>'


def _kind(report: Report, row: Measurement) -> str:
    """Of a row that is compared with none: its verdict in turns, or "unknown" where it is not trustworthy."""
    pair = report.pair_of(row)
    if pair is not None:
        return pair.verdict.replace("not trustworthy", "unknown") if report.side_of(row) == "head" else ""
    return "unknown" if row.verdict and not row.verdict.trustworthy else ""


def _cells(report: Report, row: Measurement) -> tuple[str, ...]:
    times = None if row.device.emulated else row.latency_ns
    return (
        row_label(report, row),
        verdict_text(report, row),
        figure_text(row),
        interval_text(row) if times else "",
        f"{times.p90 / 1e6:.2f}" if times else "",
        f"{row.load_ns / 1e6:.1f}" if times and row.load_ns else "",
        f"{row.peak_rss_bytes / 2**20:.0f}" if row.peak_rss_bytes else "",
        f"{row.size_bytes / 2**20:.2f}",
        sqnr_text(row),
    )


def _conditions(row: Measurement) -> str:
    device = row.device
    parts = [
        f"{device.display_name} ({', '.join(filter(None, (device.soc, device.abi, device.display_os)))})",
        f"{row.runtime} {row.runtime_version}".strip(),
        "" if row.cpu_mask is None else f"cores {row.cpu_mask:x}",
        *(f"{entry.name}: {entry.outcome}" for entry in row.condition_log),
    ]
    heat = [state and hottest_c(state) for state in (row.state_before, row.state_after)]
    if all(heat):
        parts.append(f"{heat[0]:.1f} → {heat[1]:.1f} °C")
    return "; ".join(filter(None, parts))


def _footer(report: Report) -> str:
    times = sorted(row.started_at for row in report.rows if row.started_at)
    when = f"Measured {times[0]} to {times[-1]}. " if times else ""
    rate = rate_text(report)
    return f"{when}{f'{rate}. ' if rate else ''}Written by edgedeploy."
