"""Rows for the listing commands: plain records, printed as a table or as JSON."""

from __future__ import annotations

from typing import Any

from .core.errors import UnknownName
from .core.registry import canonical


def models(pattern: str = "") -> list[dict[str, Any]]:
    """One record for each variant whose name contains `pattern`. Raises UnknownName where none does."""
    from edgedeploy.models.zoo import ZOO

    wanted = canonical(pattern).replace("*", "")
    rows = [
        {
            "name": spec.name,
            "task": spec.task,
            "input": list(spec.input_shape()),
            "parameters": spec.parameters,
            "macs": spec.macs,
            "classes": spec.num_classes,
            "paper": spec.source.paper,
            "repository": spec.source.repository,
            "licence_weights": spec.source.licence_weights,
        }
        for spec in ZOO
        if wanted in spec.name
    ]
    if not rows:
        raise UnknownName("model", pattern, ZOO.names(), hint="`edgedeploy models` lists them all")
    return rows


def targets() -> list[dict[str, Any]]:
    """One record for each target."""
    from edgedeploy.exporters.targets import TARGETS

    return [
        {
            "name": target.name,
            "file": target.file,
            "runtime": target.runner,
            "recipe": target.recipe.name,
            "weights": target.recipe.weights,
            "activations": target.recipe.activations,
            "calibration": target.recipe.needs_calibration,
            "floor": str(target.floor),
            "rewrites": list(target.rewrites),
        }
        for target in TARGETS
    ]
