from __future__ import annotations

import pytest

from edgedeploy.pipeline.recipe_search.blocks import BlockTree, is_within

TREE = BlockTree(["net.stem", "net.stages.0.conv", "net.stages.0.act", "net.stages.1.conv", "net.head", ""])


@pytest.mark.parametrize(
    ("block", "children"),
    [
        ("", ["net.head", "net.stages", "net.stem"]),
        ("net.stages", ["net.stages.0", "net.stages.1.conv"]),
        ("net.stages.0", ["net.stages.0.act", "net.stages.0.conv"]),
        ("net.stem", []),
    ],
)
def test_a_block_holds_the_blocks_directly_inside_of_it(block: str, children: list[str]) -> None:
    assert list(TREE.children(block)) == children


def test_a_module_with_operators_of_its_own_is_a_block_of_its_own() -> None:
    tree = BlockTree(["a", "a.b", "a.b.c"])
    assert [list(tree.children(block)) for block in ("", "a", "a.b")] == [["a"], ["a.b"], ["a.b.c"]]


@pytest.mark.parametrize(("path", "inside"), [("a.b", True), ("a.b.c", True), ("a.bc", False), ("a", False)])
def test_inside_means_whole_names(path: str, inside: bool) -> None:
    assert is_within(path, "a.b") is inside
    assert is_within(path, "")
