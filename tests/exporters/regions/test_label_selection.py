from __future__ import annotations

from edgedeploy.exporters.label_tail import Operator, label_tail


def graph(*lines: str) -> list[Operator]:
    """`name kind in,in -> out`, a line an operator."""
    made = []
    for line in lines:
        left, out = line.split(" -> ")
        name, kind, *inputs = left.replace(",", " ").split()
        made.append(Operator(name, kind, tuple(inputs), (out,)))
    return made


def tail(*lines: str) -> list[object]:
    return label_tail(graph(*lines), pickers=("ArgMax", "TopK"), layers=("Conv",))


def test_a_network_that_picks_no_labels_has_no_tail() -> None:
    assert tail("a Conv x -> 1", "b Relu 1 -> 2") == []


def test_the_tail_reaches_from_the_last_layer_to_the_labels() -> None:
    lines = ("a Conv x -> 1", "b Resize 1 -> 2", "c ArgMax 2 -> 3", "d Cast 3 -> 4")
    assert tail(*lines) == ["b", "c", "d"]


def test_branches_that_meet_the_tail_belong_to_it_up_to_the_layer() -> None:
    lines = ("a Conv x -> 1", "p Pad 1 -> 2", "t TopK 2 -> 3", "s Slice 2 -> 4", "g Gather 4,3 -> 5", "r Relu 1 -> 6")
    assert tail(*lines) == ["p", "t", "s", "g"]


def test_layers_before_the_last_one_are_never_in_it() -> None:
    lines = ("a Conv x -> 1", "b Relu 1 -> 2", "c Conv 2 -> 3", "d ArgMax 3 -> 4")
    assert tail(*lines) == ["d"]
