"""Tables of the commands export and verify."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgedeploy.core.artifact import Artifact
from edgedeploy.core.parity import Parity, worst

from .layout import PLAIN, Layout
from .text import mebibytes, new_table, parity_cells, render_table, sqnr_cell


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
    return render_table(table, layout)


def render_verified(rows: Sequence[VerifiedRow], layout: Layout = PLAIN) -> str:
    """The parity of every output; on a device also with this machine's outputs."""
    with_host = any(row.host_agreement for row in rows)
    columns = ("artifact", ">output", ">SQNR dB", ">largest error σ", ">same label")
    table = new_table(*columns, *((">vs host dB",) if with_host else ()))
    for row in rows:
        host = (sqnr_cell(row.host_agreement),) if with_host else ()
        table.add_row(row.artifact, str(row.output), *parity_cells(row.parity), *host)
    return render_table(table, layout)
