"""Rows for the listing commands: plain records, printed as a table or as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedeploy.core.artifact import MANIFEST, Manifest, find_artifacts
from edgedeploy.core.errors import UnknownName
from edgedeploy.core.registry import canonical

if TYPE_CHECKING:
    from edgedeploy.models.published import Published

ARTIFACTS = Path("artifacts")


def models(pattern: str = "", artifacts: Path = ARTIFACTS) -> list[dict[str, Any]]:
    """One record for each variant whose name is `pattern` or contains it, and what was exported of it.

    Raises UnknownName where there is none.
    """
    from edgedeploy.models.published import published_accuracy, published_for, published_latency
    from edgedeploy.models.zoo import ZOO

    wanted = canonical(pattern).replace("*", "")
    made = exported(artifacts)
    chosen = [ZOO[wanted]] if wanted in ZOO else [spec for spec in ZOO if wanted in spec.name]
    rows = [
        {
            "name": spec.name,
            "family": spec.family,
            "task": spec.task,
            "input": list(spec.input_shape()),
            "size_multiple": spec.size_multiple,
            "parameters": spec.parameters,
            "macs": spec.macs,
            "classes": spec.num_classes,
            "paper": spec.source.paper,
            "repository": spec.source.repository,
            "reading": spec.source.reading,
            "licence_weights": spec.source.licence_weights,
            "weights_address": spec.source.weights_url,
            "accuracy": _short(published_accuracy(spec)),
            "latency": _short(published_latency(spec)),
            "published": [_short(record) for record in published_for(spec.name)],
            "exported": [row for row in made if row["model"] in (spec.name, f"{spec.name}-features")],
        }
        for spec in chosen
    ]
    if not rows:
        raise UnknownName("model", pattern, ZOO.names(), hint="`edgedeploy models` lists them all")
    return rows


def _short(record: Published | None) -> dict[str, Any] | None:
    """A published figure without what its source does not say."""
    if record is None:
        return None
    return {key: value for key, value in asdict(record).items() if value not in (None, False)}


def exported(artifacts: Path = ARTIFACTS) -> list[dict[str, Any]]:
    """One record for each artifact: its parity at export, of its worst output. From the manifests alone, without torch.

    A damaged manifest is left out here; `bench` and `verify` say what is wrong with it.
    """
    rows = []
    for folder in find_artifacts(artifacts) if artifacts.is_dir() else ():
        try:
            manifest = Manifest.from_json(json.loads((folder / MANIFEST).read_text()))
            worst = min(
                manifest.parity, key=lambda p: (p.sqnr_db if not p.labels else math.inf, p.label_agreement or 0)
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
        made_by = manifest.made_by
        rows.append(
            {
                "model": manifest.model,
                "target": manifest.target,
                "folder": str(folder),
                "exported_at": made_by.get("created_at", ""),
                "weights": made_by.get("weights", {}).get("kind", ""),
                "size_bytes": manifest.size_bytes,
                "parity": worst.to_json(),
            }
        )
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
