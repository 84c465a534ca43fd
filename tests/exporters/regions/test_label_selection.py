from __future__ import annotations

from edgedeploy.exporters.regions import LabelSelectionTypes, Operator
from edgedeploy.exporters.regions.label_selection import label_selection

TYPES = LabelSelectionTypes(selectors=("ArgMax", "TopK"), layers=("Conv",))


def graph(*lines: str) -> list[Operator]:
    """Operators from lines such as `name type in,in -> out`."""
    made = []
    for line in lines:
        left, out = line.split(" -> ")
        name, type, *inputs = left.replace(",", " ").split()
        made.append(Operator(name, type, tuple(inputs), (out,)))
    return made


def region(*lines: str) -> list[object]:
    return label_selection(graph(*lines), TYPES)


def test_a_network_without_labels_has_no_such_region() -> None:
    assert region("a Conv x -> 1", "b Relu 1 -> 2") == []


def test_the_region_reaches_from_the_last_layer_to_the_labels() -> None:
    lines = ("a Conv x -> 1", "b Resize 1 -> 2", "c ArgMax 2 -> 3", "d Cast 3 -> 4")
    assert region(*lines) == ["b", "c", "d"]


def test_branches_that_meet_the_region_belong_to_it_up_to_the_layer() -> None:
    lines = ("a Conv x -> 1", "p Pad 1 -> 2", "t TopK 2 -> 3", "s Slice 2 -> 4", "g Gather 4,3 -> 5", "r Relu 1 -> 6")
    assert region(*lines) == ["p", "t", "s", "g"]


def test_operators_before_the_last_layer_are_never_in_it() -> None:
    lines = ("a Conv x -> 1", "b Relu 1 -> 2", "c Conv 2 -> 3", "d ArgMax 3 -> 4")
    assert region(*lines) == ["d"]
