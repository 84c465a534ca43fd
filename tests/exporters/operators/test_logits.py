from __future__ import annotations

from edgedeploy.exporters.operators.logits import logits_of
from edgedeploy.exporters.regions import Operator

SUM = Operator("sum", "Add", ("product", "mask"), ("masked",))
VIEW = Operator("view", "Reshape", ("masked", "shape"), ("rows",))
OTHER = Operator("other", "Relu", ("masked",), ("copy",))


def softmax(value: str) -> Operator:
    return Operator("softmax", "Softmax", (value,), ("weights",))


def test_logits_are_what_a_softmax_reads() -> None:
    assert logits_of([SUM, softmax("masked")], {"masked": 49, "product": 49}) == {"masked"}


def test_views_that_keep_the_places_are_looked_through() -> None:
    assert logits_of([SUM, VIEW, softmax("rows")], {"masked": 49, "rows": 49}) == {"rows", "masked"}
    assert logits_of([SUM, VIEW, softmax("rows")], {"masked": 98, "rows": 49}) == {"rows"}


def test_a_value_with_other_readers_or_an_unknown_shape_is_none() -> None:
    assert logits_of([SUM, OTHER, softmax("masked")], {"masked": 49}) == set()
    assert logits_of([SUM, softmax("masked")], {}) == set()


def test_a_value_that_a_softmax_over_another_axis_reads_is_none() -> None:
    """Where both do, as in matching two images, what weighs nothing in its row may weigh most in its column."""
    columns = Operator("columns", "Softmax", ("masked",), ("weights of columns",))
    assert logits_of([SUM, columns], {"masked": 49}, ["columns"]) == set()
    assert logits_of([SUM, softmax("masked"), columns], {"masked": 49}, ["columns"]) == set()
