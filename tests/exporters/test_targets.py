from __future__ import annotations

import pytest

from edgedeploy.exporters.targets import TARGETS, Target
from edgedeploy.models.rewrites import ALL


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_every_rewrite_that_a_target_names_exists(target: Target) -> None:
    for name in target.rewrites:
        assert ALL[name].name == name


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_a_target_states_the_parity_that_it_requires(target: Target) -> None:
    assert (target.threshold.relative_error is None) != (target.threshold.sqnr_db is None)
    assert str(target.threshold)


@pytest.mark.parametrize("rewrite", ALL, ids=str)
def test_every_rewrite_is_used_by_a_target(rewrite: object) -> None:
    assert any(str(rewrite) in target.rewrites for target in TARGETS)


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_only_onnx_int8_has_another_recipe_for_x86(target: Target) -> None:
    x86 = "static_wi8_au8" if target.name == "onnx-int8" else str(target.recipe)
    assert (str(target.tuned_for("arm").recipe), str(target.tuned_for("x86").recipe)) == (str(target.recipe), x86)
    assert target.tuned_for("x86").recipe.formats <= target.backend.formats


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_a_targets_backend_has_all_formats_of_its_recipe(target: Target) -> None:
    assert target.recipe.formats <= target.backend.formats


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_a_target_is_called_after_its_backend_and_takes_file_runtime_and_exporter_from_it(target: Target) -> None:
    assert target.name.startswith(f"{target.backend.name}-")
    assert (target.file, target.runtime) == (target.backend.file, target.backend.runtime)
    assert target.exporter().__name__ == f"to_{target.backend.name}"  # type: ignore[attr-defined]


def test_only_onnx_fp32_leaves_rewrites_out_on_x86() -> None:
    left_out = {str(target): set(target.rewrites) - set(target.tuned_for("x86").rewrites) for target in TARGETS}
    assert {name: names for name, names in left_out.items() if names} == {"onnx-fp32": {"depthwise_by_columns"}}
    assert all(target.tuned_for("arm") is target for target in TARGETS)
