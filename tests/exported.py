"""Exports that several tests read: made once a session."""

from __future__ import annotations

import pytest

from edgedeploy import export
from edgedeploy.core.artifact import Artifact
from edgedeploy.exporters.targets import TARGETS
from tests.once import made_once

MODEL = "topformer-tiny"


def all_targets(factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    """topformer-tiny at its own size for every target."""
    folder = made_once("exported", factory, lambda folder: export(MODEL, TARGETS.names(), output=folder))
    return {name: Artifact.load(folder / MODEL / name) for name in TARGETS.names()}
