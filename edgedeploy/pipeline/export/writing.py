"""What lies beside an artifact's file: the manifest, the operators, the recipe and the golden sample."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgedeploy.core.artifact import GOLDEN, RECIPE, ArtifactFile, Golden, Manifest, write_manifest
from edgedeploy.core.parity import Parity
from edgedeploy.core.provenance import Provenance
from edgedeploy.core.recipes.files import format_recipe
from edgedeploy.core.storage.files import sha256_of, write_atomically
from edgedeploy.core.versions import EDGEDEPLOY_VERSION, versions

if TYPE_CHECKING:
    from edgedeploy.exporters.targets import Target
    from edgedeploy.models.rewrites import RewrittenModule

    from . import stages


def write(
    prepared: stages.PreparedNetwork,
    rewritten: RewrittenModule,
    target: Target,
    lowered: stages.LoweredFile,
    parities: Sequence[Parity],
) -> Manifest:
    """Writes the manifest, the operators, the recipe and the golden sample beside the file. Raises OutputFailed."""
    manifest = _manifest(prepared, rewritten, target, lowered, parities)
    folder, golden = lowered.path.parent, prepared.golden
    write_manifest(folder, manifest, lowered.record.operators)
    write_atomically(folder / RECIPE, format_recipe(target.recipe))
    Golden(golden.inputs[:1], golden.outputs[:1]).save(folder / GOLDEN)
    return manifest


def _manifest(
    prepared: stages.PreparedNetwork,
    rewritten: RewrittenModule,
    target: Target,
    lowered: stages.LoweredFile,
    parities: Sequence[Parity],
) -> Manifest:
    network, record = prepared.network, lowered.record
    (main, *more) = [_described(lowered.path.with_name(name)) for name in (lowered.path.name, *record.more_files)]
    return Manifest(
        model=network.name,
        target=target.name,
        runtime=target.runtime,
        file=main.name,
        sha256=main.sha256,
        size_bytes=main.size_bytes,
        inputs=record.inputs,
        outputs=record.outputs,
        parity=tuple(parities),
        threshold=target.threshold,
        provenance=Provenance(
            edgedeploy=EDGEDEPLOY_VERSION,
            created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            weights=network.weights,
            recipe=target.recipe,
            source=network.source,
            head=prepared.head,
            calibration=prepared.calibration.info if lowered.calibrated else None,
            rewrites=rewritten.outcomes,
            rounding_error=rewritten.rounding_error,
            quantizer_settings=record.quantizer_settings,
            graph=record.graph,
            versions=versions(),
            search=lowered.search,
        ),
        macs=prepared.macs,
        task=network.task,
        preprocessing=network.preprocessing if network.image_size else None,
        more_files=tuple(more),
    )


def _described(path: Path) -> ArtifactFile:
    return ArtifactFile(path.name, sha256_of(path), path.stat().st_size)
