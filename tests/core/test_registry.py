from __future__ import annotations

import pytest

from edgedeploy.core.errors import UnknownName
from edgedeploy.core.registry import Registry

FRUIT = Registry("fruit", ["red-apple", "green-apple", "pear"], str, hint="`fruit` lists them")


@pytest.mark.parametrize("spelling", ["red-apple", "red_apple", "Red_Apple", " red-apple "])
def test_dashes_underscores_and_case_are_the_same(spelling: str) -> None:
    assert FRUIT[spelling] == "red-apple"


def test_an_unknown_name_tells_the_nearest_ones_and_what_lists_them() -> None:
    with pytest.raises(UnknownName) as caught:
        _ = FRUIT["red-aple"]
    assert "unknown fruit 'red-aple'. Did you mean 'red-apple'" in str(caught.value)
    assert "`fruit` lists them" in str(caught.value)


def test_a_name_that_is_near_nothing_suggests_nothing() -> None:
    with pytest.raises(UnknownName) as caught:
        _ = FRUIT["zzz"]
    assert "Did you mean" not in str(caught.value)


def test_two_things_of_one_name_are_a_bug_that_shows_at_once() -> None:
    with pytest.raises(ValueError, match="two things"):
        Registry("fruit", ["a_b", "a-b"], str)
