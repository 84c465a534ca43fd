"""The smallest network of each family through every converter and runtime, at its own size: the short `make zoo`.

A family is one test here, since its targets share one capture; xdist hands the families out one by one (tests/conftest.py).
ExecuTorch's conversions take as long as all others together: that to int8 is behind `slow`, and for the larger networks
that to float as well.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgedeploy import export
from edgedeploy.core.artifact import to_file
from edgedeploy.core.spec import ModelSpec
from edgedeploy.studies.zoo_matrix.cells import TARGETS
from tests.models.families import SMALLEST

pytestmark = [pytest.mark.timeout(900)]
SLOW, SLOW_IF_LARGE = "executorch-int8", "executorch-fp32"
LARGE_MACS = 500_000_000


def is_slow(spec: ModelSpec, target: str) -> bool:
    return target == SLOW or (target == SLOW_IF_LARGE and (spec.macs or 0) > LARGE_MACS)


@pytest.mark.parametrize("spec", SMALLEST, ids=str)
def test_the_smallest_of_a_family_lowers_and_float_computes_what_the_network_computes(
    spec: ModelSpec, tmp_path: Path
) -> None:
    wanted = [name for name in TARGETS if not is_slow(spec, name)]
    # int8 is kept below its threshold: random weights say little about quality, and every cell must lower and run
    made = export(spec.name, wanted, num_calib=8, output=tmp_path, allow_low_parity=True)
    assert [artifact.manifest.target for artifact in made] == wanted
    for artifact in made:
        image = np.zeros(spec.input_shape(), np.float32)
        assert artifact.manifest.inputs[0].shape == to_file(image, artifact.manifest.inputs[0]).shape
        for parity in artifact.manifest.parity:
            if artifact.manifest.target.endswith("fp32"):
                assert parity.relative_error < 1e-4, artifact.manifest.target
            else:
                assert parity.sqnr > 3, artifact.manifest.target  # more signal than noise by half


@pytest.mark.slow
@pytest.mark.parametrize("spec", SMALLEST, ids=str)
def test_the_smallest_of_a_family_lowers_to_executorch(spec: ModelSpec, tmp_path: Path) -> None:
    wanted = [name for name in TARGETS if is_slow(spec, name)]
    for artifact in export(spec.name, wanted, num_calib=8, output=tmp_path, allow_low_parity=True):
        floating = artifact.manifest.target.endswith("fp32")
        assert all(p.relative_error < 1e-4 if floating else p.sqnr > 3 for p in artifact.manifest.parity)
