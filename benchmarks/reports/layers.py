"""The page of `verify --layers`: own, inherited and total error over the operators, and a table of all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from edgedeploy.core.results.layers import LayerError, LayerReport, first_line

from .html import STYLE
from .plots import ALARM, FIRST, MUTED, SECOND, TEXT, drawing, new_axes, page_svg

COLUMNS = (
    *("operator", "own, dB", "worst channel, dB", "largest, σ", "inherited, dB", "total, dB"),
    *("float range", "file's range", "clipped"),
)
PLOT_STYLE = """
td { font-variant-numeric: tabular-nums; } tr.slower td:first-child { color: var(--alarm); font-weight: 600; }
td:last-child { min-width: 0; } th:last-child, td:last-child { text-align: right; }
td:first-child { white-space: normal; min-width: 16rem; }
.plot svg { max-width: 60rem; }
"""
LOWEST_DB = -20.0


def render_layers_html(report: LayerReport) -> str:
    """The page. Raises MissingExtra without matplotlib."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: LayerReport) -> Iterator[str]:
    title = f"{report.artifact} beside {report.reference} in float"
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>edgedeploy: {escape(title)}</title>\n<style>{STYLE}{PLOT_STYLE}</style>\n</head>"
    yield f'<body class="{"failed" if report.first else "passed"}">\n<h1>{escape(title)}</h1>'
    yield f"<p>{escape(_sentence(first_line(report)))}</p>"
    if report.note:
        yield f"<p>{escape(_sentence(report.note))}</p>"
    if report.layers:
        yield f'<figure class="plot">{_plot(report.layers)}<figcaption>'
        yield f"Signal to noise ratio of the output of each operator, run alone in {escape(report.runtime)}, in the file's"
        yield "order; higher is better. Own: with the float network's values as its inputs. Inherited: what the errors of"
        yield "its inputs change in it. Total: in the file. Crosses: here the two part. A gap: equal.</figcaption></figure>"
        yield from _table(report.layers)
    yield f'<p class="muted">{report.without_counterpart} operators have no counterpart in the float network; their errors'
    yield f"are in the next one's. {report.not_trusted} operators are left out: which of the float network's they are, if"
    yield "any, cannot be told. Written by edgedeploy.</p>\n</body>\n</html>"


def _plot(layers: Sequence[LayerError]) -> str:
    with drawing("the page of --layers"):
        figure, axes = new_axes(3.2, width=6.4)
        numbers = list(range(len(layers)))
        for label, colour, style, values in (
            ("inherited", MUTED, ":", [layer.inherited_sqnr_db for layer in layers]),
            ("total", SECOND, "--", [layer.total_sqnr_db for layer in layers]),
            ("own", FIRST, "-", [layer.own_sqnr_db for layer in layers]),
        ):
            axes.plot(numbers, [_height(value) for value in values], style, color=colour, label=label, linewidth=1.2)
        parting = [number for number in numbers if layers[number].parts]
        axes.plot(parting, [_height(layers[n].own_sqnr_db) for n in parting], "x", color=ALARM, markersize=8, zorder=3)
        axes.set_ylabel("SQNR, dB")
        axes.set_xlabel("operator")
        axes.legend(frameon=False, labelcolor=TEXT, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
        svg = page_svg(figure, "layers")
    return svg.replace('role="img"', 'role="img" aria-label="Signal to noise ratio of each operator"', 1)


def _height(value: float | None) -> float:
    """Equal values have no height: the line has a gap there."""
    return math.nan if value is None else max(LOWEST_DB, value)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _table(layers: Sequence[LayerError]) -> Iterator[str]:
    yield '<div class="scroll"><table>\n<thead><tr>'
    yield "".join(f'<th scope="col">{escape(column)}</th>' for column in COLUMNS) + "</tr></thead>\n<tbody>"
    for layer in layers:
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in _cells(layer))
        yield f'<tr class="{"slower" if layer.parts else ""}">{cells}</tr>'
    yield "</tbody></table></div>"


def _cells(layer: LayerError) -> tuple[str, ...]:
    held = (
        "" if layer.limit_low is None or layer.limit_high is None else f"{layer.limit_low:.3g} … {layer.limit_high:.3g}"
    )
    return (
        layer.where,
        _db(layer.own_sqnr_db),
        _db(layer.own_channel_sqnr_db),
        f"{layer.own_error:.2g}",
        _db(layer.inherited_sqnr_db),
        _db(layer.total_sqnr_db),
        f"{layer.low:.3g} … {layer.high:.3g}",
        held,
        f"{layer.clipped:.2%}" if layer.clipped else "",
    )


def _db(value: float | None) -> str:
    return "equal" if value is None else f"{max(value, -999.0):.1f}"
