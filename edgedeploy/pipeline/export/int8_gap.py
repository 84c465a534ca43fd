"""int8 files of one export that are far apart: which operator is to blame for the worse one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from edgedeploy.core.artifact import Artifact
from edgedeploy.core.parity import worst
from edgedeploy.core.recipe import NumberFormat

if TYPE_CHECKING:
    from edgedeploy.exporters.targets import Target

GAP_DB = 6.0  # half of an amplitude
INT8 = (NumberFormat.STATIC_INT8, NumberFormat.STATIC_UINT8_ACTIVATIONS)


def gap_notes(
    artifacts: Sequence[Artifact], targets: Sequence[Target], blame: Callable[[Target, Artifact], str]
) -> list[str]:
    """A note for each int8 artifact that is far below the best one of the export.

    Args:
        targets: of the export, in any order.
        blame: names the operator where an artifact loses most, in a line; "" where that cannot be found out.
    """
    wanted = {target.name: target for target in targets if target.recipe.rules[0].format in INT8}
    made = {artifact.manifest.target: artifact for artifact in artifacts if artifact.manifest.target in wanted}
    parities = {name: worst(artifact.manifest.parity) for name, artifact in made.items()}
    decibel = {name: parity.sqnr for name, parity in parities.items() if parity is not None and not parity.labels}
    best = max(decibel, key=lambda name: decibel[name], default="")
    notes = []
    for name, db in decibel.items():
        if decibel[best] - db > GAP_DB:
            where = blame(wanted[name], made[name])
            notes.append(
                f"{made[name]}: its SQNR of {db:.1f} dB is {decibel[best] - db:.1f} dB below that of {best}"
                f"{': ' if where else ''}{where}"
            )
    return notes
