"""targets: the formats and runtimes that a network can be exported to."""

from __future__ import annotations

from dataclasses import dataclass

from edgedeploy.core.parity import Threshold


@dataclass(frozen=True)
class TargetRow:
    """One target.

    Attributes:
        file: name of the artifact's file.
        recipe: name of the quantization recipe, which `edgedeploy.core.recipe` explains.
        number_format: how most operators are stored and computed, such as "static_int8".
        needs_calibration: activation ranges are taken from images, see `export --calib`.
        threshold: the parity that an export must reach.
        rewrites: what is applied to the network first, where it matches.
    """

    name: str
    file: str
    runtime: str
    recipe: str
    number_format: str
    needs_calibration: bool
    threshold: Threshold
    rewrites: tuple[str, ...]


def list_targets() -> list[TargetRow]:
    """All targets, in the order of the table."""
    from edgedeploy.exporters.targets import TARGETS

    return [
        TargetRow(
            name=target.name,
            file=target.file,
            runtime=target.runtime,
            recipe=target.recipe.name,
            number_format=target.recipe.default_format.value,
            needs_calibration=target.recipe.needs_calibration,
            threshold=target.threshold,
            rewrites=tuple(target.rewrites),
        )
        for target in TARGETS
    ]
