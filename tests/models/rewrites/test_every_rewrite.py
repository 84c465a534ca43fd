"""The list of rewrites as a whole."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgedeploy.exporters.targets import TARGETS
from edgedeploy.models import rewrites
from edgedeploy.models.rewrites import ALL

PLACE = {name: index for index, name in enumerate(ALL.names())}


@pytest.mark.parametrize("name", ALL.names())
def test_every_rewrite_is_wanted_by_a_target(name: str) -> None:
    wanted = {one.replace("_", "-") for target in TARGETS for one in target.rewrites}
    assert name in wanted


def test_every_target_names_rewrites_that_exist() -> None:
    assert all(name in ALL for target in TARGETS for name in target.rewrites)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("fold-constants", "window-gather"),
        ("window-gather", "low-rank-permutes"),
        ("split-projections", "low-rank-permutes"),
        ("split-projections", "splits-as-slices"),
        ("split-projections", "query-scale"),
        ("plain-attention", "query-scale"),
        ("reciprocal-norm", "late-norm"),
        ("channel-first-norm", "linear-to-conv"),
        ("channel-first-norm", "centred-norm"),
        ("linear-to-conv", "cancel-permutes"),
        ("linear-to-conv", "strided-pick"),
    ],
)
def test_rewrites_that_need_each_other_come_in_order(first: str, second: str) -> None:
    assert PLACE[first] < PLACE[second]


@pytest.mark.parametrize("rewrite", list(ALL), ids=str)
def test_every_rewrite_has_its_mathematics_and_a_test_file(rewrite: rewrites.Rewrite) -> None:
    file = type(rewrite).__module__.rsplit(".", 1)[1]
    assert len((sys.modules[type(rewrite).__module__].__doc__ or "").splitlines()) > 3
    assert rewrite.why
    assert (Path(__file__).parent / f"test_{file}.py").is_file()
