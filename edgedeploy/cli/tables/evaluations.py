"""The table of the command evaluate, and the cell that stands for an evaluation elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from edgedeploy.core.results.evaluation import Estimate, Evaluation

from .layout import PLAIN, Layout
from .text import new_table, render

SHARES = {
    "top1": "top-1 %",
    "top5": "top-5 %",
    "miou": "mIoU %",
    "pixel_accuracy": "pixel accuracy %",
    "agreement": "same label %",
}


def render_evaluation(made: Evaluation, layout: Layout = PLAIN) -> str:
    """The figures of one evaluation with their 95 % intervals."""
    with_float = any(score.float_value for score in made.scores)
    subject = made.target or "float"
    columns = ("", f">{subject}", ">95 %", *((">float", ">95 %", ">difference", ">95 %") if with_float else ()))
    table = new_table(*columns)
    for score in made.scores:
        factor = 100.0 if score.metric in SHARES else 1.0
        cells = [*_cells(score.value, factor)]
        if with_float:
            cells += [*_cells(score.float_value, factor), *_cells(score.difference, factor, signed=True)]
        table.add_row(SHARES.get(score.metric, score.metric), *cells)
    where = "the eager network" if made.device == "float" else f"{made.device}, {made.runtime}"
    skipped = f", {len(made.skipped)} skipped" if made.skipped else ""
    title = f"{made.model} on {made.data} ({made.layout}): {made.images} images{skipped}; {where}"
    return render(title, table, *_skipped(made), layout=layout)


def accuracy_cell(evaluations: Sequence[Evaluation]) -> str:
    """The newest evaluation in short: `top-1 91.2 (-0.3)`; "" for none."""
    if not evaluations:
        return ""
    score = evaluations[-1].main_score
    factor = 100.0 if score.metric in SHARES else 1.0
    name = SHARES.get(score.metric, score.metric).removesuffix(" %")
    difference = f" ({score.difference.value * factor:+.1f})" if score.difference else ""
    return f"{name} {score.value.value * factor:.{1 if factor > 1 else 3}f}{difference}"


def _cells(estimate: Estimate | None, factor: float, *, signed: bool = False) -> tuple[str, str]:
    if estimate is None:
        return "", ""
    digits = 2 if factor > 1 else 4
    sign = "+" if signed else ""
    low, high = (f"{bound * factor:{sign}.{digits}f}" for bound in (estimate.low, estimate.high))
    return f"{estimate.value * factor:{sign}.{digits}f}", f"{low}..{high}"


def _skipped(made: Evaluation) -> tuple[str, ...]:
    """The damaged images by name; the JSON has all of them."""
    shown = [f"skipped: {image.file}: {image.reason}" for image in made.skipped[:5]]
    more = [f"skipped: {len(made.skipped) - 5} more"] if len(made.skipped) > 5 else []
    return (*shown, *more)
