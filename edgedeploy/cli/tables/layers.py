"""The table of `verify --layers`."""

from __future__ import annotations

from edgedeploy.core.results.layers import LayerError, LayerReport, first_line

from .layout import PLAIN, Layout
from .text import fold, new_table, render

SHOWN = 20


def render_layers(report: LayerReport, layout: Layout = PLAIN, *, top: int = SHOWN) -> str:
    """Where the artifact parts from the float network; then the `top` operators of the largest own error, in order."""
    worst = sorted(report.layers, key=_noise)[:top]
    chosen = {layer.name for layer in worst} | {layer.name for layer in report.layers if layer.parts}
    table = new_table("operator", ">own dB", ">inherited", ">total", ">clipped %", "")
    fold(table, 0)
    for layer in report.layers:
        if layer.name in chosen:
            table.add_row(
                layer.where,
                _db(layer.own_sqnr_db),
                _db(layer.inherited_sqnr_db),
                _db(layer.total_sqnr_db),
                f"{100 * layer.clipped:.1f}" if layer.clipped > 0.0005 else "",
                "parts" if layer.parts else "",
            )
    left = len(report.layers) - table.row_count
    title = f"{report.artifact} beside {report.reference} in float, operator by operator in {report.runtime}"
    alone = report.without_counterpart
    notes = [
        f"{left} operators with smaller own errors are left out; --json and --html have all" if left else "",
        f"{alone} operators are none of the float network's; their errors are in the next one's" if alone else "",
        f"{report.not_trusted} operators are left out: which of the float network's they are, if any, cannot be told"
        if report.not_trusted
        else "",
        report.note,
    ]
    return render(f"{title}\n{first_line(report)}", table, *filter(None, notes), layout=layout)


def _noise(layer: LayerError) -> float:
    return float("inf") if layer.own_sqnr_db is None else layer.own_sqnr_db


def _db(value: float | None) -> str:
    return "equal" if value is None else f"{max(value, -999):.1f}"
