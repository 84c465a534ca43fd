"""Tables of the commands export, verify and evaluate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from edgedeploy.core.artifact import Artifact
from edgedeploy.core.parity import Parity, worst
from edgedeploy.core.provenance import RecipeSearch, RecipeStep
from edgedeploy.core.results.evaluation import Estimate, Evaluation

from .layout import PLAIN, Layout
from .text import NOTHING, fold, mebibytes, new_table, parity_cells, render, render_table, sqnr_cell

SHOWN_BLOCKS = 5
METRICS = {
    "top1": "top-1 %",
    "top5": "top-5 %",
    "miou": "mIoU %",
    "pixel_accuracy": "pixel accuracy %",
    "agreement": "same label %",
}


@dataclass(frozen=True)
class VerifiedRow:
    """One output of one artifact, as `verify --json` prints it.

    Attributes:
        artifact: as the user named it.
        output: its index.
        parity: against the float network's output.
        host_agreement: against the same file's output on this machine; None for this machine itself.
    """

    artifact: str
    output: int
    parity: Parity
    host_agreement: Parity | None = None


def render_artifacts(artifacts: Sequence[Artifact], layout: Layout = PLAIN) -> str:
    """The artifacts of an export, with the parity of their worst output."""
    table = new_table("artifact", ">size MiB", ">SQNR dB", ">largest error σ", ">same label", "weights")
    for artifact in artifacts:
        manifest = artifact.manifest
        table.add_row(
            str(artifact.folder),
            mebibytes(manifest.size_bytes),
            *parity_cells(worst(manifest.parity)),
            manifest.provenance.weights.kind,
        )
    searches = [part for artifact in artifacts for part in _search_parts(artifact)]
    return render(table, *searches, layout=layout) if table.row_count else NOTHING


def _search_parts(artifact: Artifact) -> list[Table | str]:
    """How an artifact's recipe was found: the path, and the blocks that int8 hurts most."""
    search = artifact.manifest.provenance.search
    if search is None:
        return []
    tried = f"{search.exports} artifact{'s' if search.exports > 1 else ''} tried"
    title = f"{artifact}: {search.goal}, {'met' if search.met else 'not met'}; {tried}"
    path = _steps_table("change", search.path, [None, *(step.sqnr_db for step in search.path)], search)
    parts: list[Table | str] = [f"\n{title}", path]
    if search.sensitivity:
        shown = search.sensitivity[:SHOWN_BLOCKS]
        parts.append(f"\nblocks measured alone, the most sensitive first; instructions of {search.costs}")
        parts.append(_steps_table("block", shown, [search.base_sqnr_db] * len(shown), search))
    return parts


def _steps_table(
    title: str, steps: Sequence[RecipeStep], before: Sequence[float | None], search: RecipeSearch
) -> Table:
    """Steps with what each gains over the SQNR before it."""
    labelled = any(step.accuracy is not None for step in steps)
    table = new_table(title, ">cost M", ">cost %", ">SQNR dB", ">gain dB", *([">top-1 %", ">drop"] if labelled else []))
    fold(table, 0)
    for step, base in zip(steps, before, strict=False):
        cost = (f"{step.instructions / 1e6:.3f}", f"{100 * step.instructions / max(search.plain_instructions, 1):.1f}")
        table.add_row(
            step.change,
            *(cost if step.instructions else ("", "")),
            "equal" if step.sqnr_db is None else f"{step.sqnr_db:.1f}",
            "" if step.sqnr_db is None or base is None else f"{step.sqnr_db - base:+.1f}",
            *([f"{100 * (step.accuracy or 0):.2f}", step.drop_in_points] if labelled else []),
        )
    return table


def render_verified(rows: Sequence[VerifiedRow], layout: Layout = PLAIN) -> str:
    """The parity of every output; on a device also with this machine's outputs."""
    with_host = any(row.host_agreement for row in rows)
    columns = ("artifact", ">output", ">SQNR dB", ">largest error σ", ">same label")
    table = new_table(*columns, *((">vs host dB",) if with_host else ()))
    for row in rows:
        host = (sqnr_cell(row.host_agreement),) if with_host else ()
        table.add_row(row.artifact, str(row.output), *parity_cells(row.parity), *host)
    return render_table(table, layout)


def render_evaluation(made: Evaluation, layout: Layout = PLAIN) -> str:
    """The figures of one evaluation with their 95 % intervals."""
    with_float = any(score.float_value for score in made.scores)
    subject = made.target or "float"
    columns = ("", f">{subject}", ">95 %", *((">float", ">95 %", ">difference", ">95 %") if with_float else ()))
    table = new_table(*columns)
    for score in made.scores:
        factor = 100.0 if score.metric in METRICS else 1.0
        cells = [*_cells(score.value, factor)]
        if with_float:
            cells += [*_cells(score.float_value, factor), *_cells(score.difference, factor, signed=True)]
        table.add_row(METRICS.get(score.metric, score.metric), *cells)
    where = "the eager network" if made.device == "float" else f"{made.device}, {made.runtime}"
    skipped = f", {len(made.skipped)} skipped" if made.skipped else ""
    title = f"{made.model} on {made.data} ({made.layout}): {made.images} images{skipped}; {where}"
    return render(title, table, *_skipped(made), layout=layout)


def accuracy_cell(evaluations: Sequence[Evaluation]) -> str:
    """The newest evaluation in short: `top-1 91.2 (-0.3)`; "" for none."""
    if not evaluations:
        return ""
    score = evaluations[-1].main_score
    factor = 100.0 if score.metric in METRICS else 1.0
    name = METRICS.get(score.metric, score.metric).removesuffix(" %")
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
