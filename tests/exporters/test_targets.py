from __future__ import annotations

import pytest

from edgedeploy.exporters.targets import TARGETS, Target
from edgedeploy.models.rewrites import ALL


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_every_rewrite_that_a_target_names_exists(target: Target) -> None:
    for name in target.rewrites:
        assert ALL[name].name == name


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_a_target_states_the_parity_that_it_demands(target: Target) -> None:
    assert (target.floor.relative_error is None) != (target.floor.sqnr_db is None)
    assert str(target.floor)


@pytest.mark.parametrize("rewrite", ALL, ids=str)
def test_every_rewrite_is_wanted_by_a_target(rewrite: object) -> None:
    assert any(str(rewrite) in target.rewrites for target in TARGETS)
