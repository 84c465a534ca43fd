"""Tables of the commands export and verify."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from edgedeploy.core.artifact import Artifact
from edgedeploy.core.parity import Parity, worst
from edgedeploy.core.provenance import RecipeSearch, RecipeStep

from .layout import PLAIN, Layout
from .text import NOTHING, fold, mebibytes, new_table, parity_cells, render, render_table, sqnr_cell

SHOWN_BLOCKS = 5


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
    table = new_table(title, ">cost M", ">cost %", ">SQNR dB", ">gain dB", *([">top-1 %"] if labelled else []))
    fold(table, 0)
    for step, base in zip(steps, before, strict=False):
        cost = (f"{step.instructions / 1e6:.3f}", f"{100 * step.instructions / max(search.plain_instructions, 1):.1f}")
        table.add_row(
            step.change,
            *(cost if step.instructions else ("", "")),
            "equal" if step.sqnr_db is None else f"{step.sqnr_db:.1f}",
            "" if step.sqnr_db is None or base is None else f"{step.sqnr_db - base:+.1f}",
            *([f"{100 * (step.accuracy or 0):.2f}"] if labelled else []),
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
