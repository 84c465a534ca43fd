"""Exports that several tests read: made once a session."""

from __future__ import annotations

from pathlib import Path

from edgedeploy import export
from edgedeploy.core.artifact import Artifact
from edgedeploy.exporters.targets import TARGETS

MODEL = "topformer-tiny"


def all_targets(folder: Path) -> dict[str, Artifact]:
    """topformer-tiny at its own size for every target."""
    made = export(MODEL, TARGETS.names(), output=folder)
    return {artifact.manifest.target: artifact for artifact in made}
