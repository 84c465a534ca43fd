"""The list of rewrites as a whole."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgedeploy.exporters.targets import TARGETS
from edgedeploy.models import rewrites
from edgedeploy.models.rewrites import ALL

ORDER = {name: index for index, name in enumerate(ALL.names())}


@pytest.mark.parametrize("name", ALL.names())
def test_every_rewrite_is_used_by_a_target(name: str) -> None:
    used = {one.replace("_", "-") for target in TARGETS for one in target.rewrites}
    assert name in used


def test_every_target_names_rewrites_that_exist() -> None:
    assert all(name in ALL for target in TARGETS for name in target.rewrites)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("fold-constants", "window-shift-to-gather"),
        ("window-shift-to-gather", "collapse-permute-dims"),
        ("split-qkv-projection", "collapse-permute-dims"),
        ("split-qkv-projection", "split-to-slices"),
        ("split-qkv-projection", "fold-attention-scale"),
        ("decompose-sdpa", "fold-attention-scale"),
        ("l2-norm-to-rsqrt", "defer-l2-norm"),
        ("channels-first-layer-norm", "linear-to-conv"),
        ("channels-first-layer-norm", "center-before-variance"),
        ("linear-to-conv", "cancel-permutes"),
        ("linear-to-conv", "pool1x1-to-stride"),
    ],
)
def test_rewrites_that_need_each_other_come_in_order(first: str, second: str) -> None:
    assert ORDER[first] < ORDER[second]


@pytest.mark.parametrize("rewrite", list(ALL), ids=str)
def test_every_rewrite_has_its_mathematics_and_a_test_file(rewrite: rewrites.Rewrite) -> None:
    file = type(rewrite).__module__.rsplit(".", 1)[1]
    assert len((sys.modules[type(rewrite).__module__].__doc__ or "").splitlines()) > 3
    assert rewrite.reason
    assert (Path(__file__).parent / f"test_{file}.py").is_file()
