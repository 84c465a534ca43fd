"""Tables of the commands export and verify."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from edgedeploy.core.artifact import Artifact
from edgedeploy.core.parity import Parity, worst
from edgedeploy.core.provenance import RecipeSearch, RecipeStep

from .layout import PLAIN, Layout
from .text import NOTHING, mebibytes, new_table, parity_cells, render, render_table, sqnr_cell


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
    counted = f"instructions: {search.costs}" if search.costs else "no exception was needed"
    title = (
        f"{artifact}: {search.goal}, {'met' if search.met else 'not met'}; {search.exports} artifacts tried; {counted}"
    )
    parts: list[Table | str] = [f"\n{title}", _steps_table(search.path, search, cumulative=True)]
    if search.sensitivity:
        parts += [
            "\nalone in float32, the most helpful",
            _steps_table(search.sensitivity[:5], search, cumulative=False),
        ]
    return parts


def _steps_table(steps: Sequence[RecipeStep], search: RecipeSearch, *, cumulative: bool) -> Table:
    table = new_table("exception", ">cost M", ">cost %", ">SQNR dB", ">gain dB")
    before = search.path[-1 if not cumulative else 0].sqnr_db
    if not cumulative:  # sensitivities are those beside the preparations
        before = [step for step in search.path if not step.instructions][-1].sqnr_db
    for step in steps:
        cost = (f"{step.instructions / 1e6:.3f}", f"{100 * step.instructions / search.plain_instructions:.1f}")
        known = step.sqnr_db is not None and before is not None
        table.add_row(
            step.change,
            *(cost if step.instructions else ("", "")),
            "equal" if step.sqnr_db is None else f"{step.sqnr_db:.1f}",
            f"{(step.sqnr_db or 0) - (before or 0):+.1f}" if known and step is not search.path[0] else "",
        )
        if cumulative:
            before = step.sqnr_db
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
