"""Tables of the commands models, targets and weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from .artifacts import accuracy_cell
from .layout import PLAIN, Layout
from .text import fact_table, fold, new_table, parity_cells, render, render_table

if TYPE_CHECKING:
    from edgedeploy.pipeline.models import ExportedRow, ModelRow, Published
    from edgedeploy.pipeline.targets import TargetRow
    from edgedeploy.pipeline.weights import OfficialWeights

TASKS = {"classification": "class", "segmentation": "segm"}
METRICS = {"top1": "", "miou": " mIoU", "miou_single_scale": " mIoU"}
NOTE = (
    "\nAccuracy and time are what others published, not measured here; `edgedeploy models NAME` has all of it, "
    "`edgedeploy weights NAME` where the weights are."
)


def render_models(rows: Sequence[ModelRow], layout: Layout = PLAIN) -> str:
    """The zoo, a line for each variant, within 120 columns; all that is known where only one was asked for."""
    if len(rows) == 1:
        return _render_model(rows[0], layout)
    table = new_table(
        "model", "task", ">input", ">params M", ">MMACs", ">top-1 %", ">ms", "published on", "weights", ">exports"
    )  # fmt: skip
    for row in rows:
        latency = row.latency
        table.add_row(
            row.name,
            TASKS.get(row.task, row.task),
            _size(row.input_shape),
            f"{row.parameters / 1e6:.2f}",
            f"{row.macs / 1e6:,.0f}" if row.macs else "",
            _accuracy(row.accuracy),
            _number(latency.latency_ms) if latency else "",
            _shortened(latency.device or "", 19) if latency else "",
            _shortened(row.licence_weights, 14),
            str(len(row.exported) or ""),
        )
    return render(table, NOTE, *_exported([made for row in rows for made in row.exported]), layout=layout)


def _render_model(row: ModelRow, layout: Layout) -> str:
    macs = f", {row.macs / 1e6:,.0f} M multiply-accumulates" if row.macs else ""
    facts = fact_table(
        (
            ("model", f"{row.name} ({row.family}, {row.task}, {row.num_classes} classes)"),
            ("input", f"{_shape(row.input_shape)}; sides are multiples of {row.size_multiple}"),
            ("size", f"{row.parameters:,} parameters{macs}"),
            ("paper", row.paper),
            ("code", row.repository),
            ("our reading", row.reading),
            ("weights", row.weights_url),
            ("licence", row.licence_weights),
        )
    )
    return render(facts, *_published(row.published), *_exported(row.exported), layout=layout)


def _published(figures: Sequence[Published]) -> tuple[Table | str, ...]:
    """What others published about one variant."""
    if not figures:
        return ()
    table = new_table(">accuracy", "of", ">ms", "on", ">input", "source")
    fold(table, 3, 5)
    for figure in figures:
        of = f"{figure.dataset or ''} {figure.metric or ''}".strip()
        table.add_row(
            _number(figure.value),
            of if figure.value is not None else "",
            _number(figure.latency_ms),
            figure.device or "",
            _number(figure.input),
            figure.source + (f" ({figure.note})" if figure.note else ""),
        )
    return "\nPublished by others:", table


def _exported(rows: Sequence[ExportedRow]) -> tuple[Table | str, ...]:
    """What is below ./artifacts."""
    if not rows:
        return ()
    table = new_table(
        "model", "target", ">SQNR dB", ">largest error σ", ">same label", "weights", "exported at", "evaluated (vs float)"
    )  # fmt: skip
    for row in rows:
        cells = (row.weights, row.exported_at[:16], accuracy_cell(row.evaluations))
        table.add_row(row.model, row.target, *parity_cells(row.parity), *cells)
    return "\nExported here:", table


def render_weights(weights: OfficialWeights, layout: Layout = PLAIN) -> str:
    """Where a variant's official weights are, and what they reach."""
    facts = fact_table(
        (
            ("model", weights.model),
            ("title", weights.title),
            ("paper", weights.paper),
            ("repository", weights.repository),
            ("address", weights.address),
            ("download", weights.how),
            ("licence of weights", weights.licence_weights),
            ("licence of code", weights.licence_code),
            ("our reading", weights.reading),
            ("trained for", f"{_shape(weights.input_shape)}, {weights.num_classes} classes"),
        )
    )
    return render(facts, *_published(weights.published), layout=layout)


def render_targets(rows: Sequence[TargetRow], layout: Layout = PLAIN) -> str:
    """The table of targets."""
    table = new_table("target", "file", "runtime", "recipe", "required parity")
    for row in rows:
        table.add_row(row.name, row.file, row.runtime, row.recipe, str(row.threshold))
    return render_table(table, layout)


def _accuracy(figure: Published | None) -> str:
    if figure is None or figure.value is None:
        return ""
    return f"{figure.value:.1f}{METRICS.get(figure.metric or '', '')}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _size(shape: Sequence[int]) -> str:
    """Height and width of an NCHW shape, as one number where they are equal."""
    height, width = shape[2:]
    return str(height) if height == width else f"{height}x{width}"


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1].rstrip(' ,(')}…"
