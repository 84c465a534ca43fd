"""targets: one row for each target."""

from __future__ import annotations

from edgedeploy.exporters.targets import TARGETS
from edgedeploy.pipeline.targets import list_targets


def test_every_target_has_its_runtime_recipe_and_threshold() -> None:
    rows = {row.name: row for row in list_targets()}
    assert list(rows) == TARGETS.names()
    row = rows["tflite-int8"]
    assert (row.file, row.runtime, row.recipe) == ("model.tflite", "litert", "static_wi8_ai8")
    assert (row.number_format, row.needs_calibration) == ("static_int8", True)
    assert str(row.threshold) == "SQNR ≥ 20 dB"
    assert "fold_batch_norm" in row.rewrites
