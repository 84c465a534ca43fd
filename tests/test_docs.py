"""The documentation names what the code has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgedeploy.core.recipes import DYNAMIC_INT8, FP32, STATIC_INT8, WEIGHT_ONLY_FP16
from edgedeploy.exporters.targets import TARGETS, Target
from edgedeploy.models.rewrites import ALL, Rewrite
from edgedeploy.models.zoo import ZOO

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), ROOT / "android_harness" / "PROTOCOL.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not link.startswith(("http://", "https://")):
            assert (page.parent / link).exists(), link


def test_the_readme_is_read_in_three_minutes() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 180


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_every_target_is_described_with_its_recipe_runtime_and_threshold(target: Target) -> None:
    threshold = str(target.threshold).replace("0.0001", "1e-4")
    row = f"| `{target.name}` | {target.recipe} | {target.backend.title} | {threshold} |"
    assert row in (DOCS / "targets.md").read_text()


@pytest.mark.parametrize("recipe", [FP32, WEIGHT_ONLY_FP16, DYNAMIC_INT8, STATIC_INT8], ids=str)
def test_every_recipe_is_described(recipe: object) -> None:
    assert f"| `{recipe}` |" in (DOCS / "targets.md").read_text()


@pytest.mark.parametrize("rewrite", ALL, ids=str)
def test_every_rewrite_is_described(rewrite: Rewrite) -> None:
    rows = [line for line in (DOCS / "rewrites.md").read_text().splitlines() if line.startswith("| ")]
    assert any(f"`{rewrite}`" in row.split("|")[1] for row in rows)


@pytest.mark.parametrize("name", ZOO.names())
def test_every_variant_is_listed(name: str) -> None:
    text = (DOCS / "models.md").read_text()
    assert f"`{name}" in text or f"-{name.split('-', 1)[1]}" in text


@pytest.mark.parametrize("folder", ["core", "data", "pipeline", "cli", "studies"])
def test_every_folder_is_in_the_architecture(folder: str) -> None:
    assert f"`edgedeploy/{folder}/`" in (DOCS / "architecture.md").read_text()
