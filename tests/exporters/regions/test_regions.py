from __future__ import annotations

from edgedeploy.core.recipe import Region
from edgedeploy.exporters.regions import Operator, find_regions
from edgedeploy.exporters.to_tflite import REGION_TYPES

NORM_BEFORE_LABELS = [
    Operator("conv", "CONV_2D", ("x",), ("1",)),
    Operator("square", "MUL", ("1", "1"), ("2",)),
    Operator("sum", "SUM", ("2",), ("3",)),
    Operator("root", "RSQRT", ("3",), ("4",)),
    Operator("scaled", "MUL", ("1", "4"), ("5",)),
    Operator("layer", "CONV_2D", ("5",), ("6",)),
    Operator("labels", "ARG_MAX", ("6",), ("7",)),
]


def test_label_selection_is_listed_before_normalization() -> None:
    regions = find_regions(NORM_BEFORE_LABELS, REGION_TYPES)
    assert list(regions) == ["labels", "square", "sum", "root", "scaled"]
    assert regions["labels"] is Region.LABEL_SELECTION
    assert regions["root"] is Region.NORMALIZATION


def test_a_norm_between_the_last_layer_and_the_labels_belongs_to_label_selection() -> None:
    without_layer = [op for op in NORM_BEFORE_LABELS if op.key not in ("layer", "labels")]
    regions = find_regions([*without_layer, Operator("labels", "ARG_MAX", ("5",), ("6",))], REGION_TYPES)
    assert set(regions.values()) == {Region.LABEL_SELECTION}
    assert list(regions) == ["square", "sum", "root", "scaled", "labels"]


def test_operators_outside_of_regions_are_not_listed() -> None:
    assert find_regions(NORM_BEFORE_LABELS[:1], REGION_TYPES) == {}
