from __future__ import annotations

from edgedeploy.exporters.operators.module_paths import completed
from edgedeploy.exporters.regions import Operator


def paths(*operators: tuple[str, str, str, str | None]) -> list[str]:
    """Completed paths of operators given as name, type, inputs and path; an operator's name is its output's."""
    graph = [Operator(name, type, tuple(inputs.split()), (name,)) for name, type, inputs, _ in operators]
    return completed(graph, [path for *_, path in operators], ("Quantize", "Dequantize"))


def test_known_paths_stay_and_the_top_level_is_known() -> None:
    assert paths(("a", "Conv", "x", "stem"), ("b", "Add", "a", ""), ("c", "Conv", "b", "head")) == ["stem", "", "head"]


def test_an_operator_without_a_path_belongs_to_those_that_read_it() -> None:
    assert paths(("a", "Reshape", "x", None), ("b", "Gemm", "a", None), ("c", "Add", "b", "fc")) == ["fc"] * 3


def test_readers_that_disagree_leave_no_path() -> None:
    assert paths(("a", "Split", "x", None), ("b", "Conv", "a", "left"), ("c", "Conv", "a", "right"))[0] == ""


def test_a_conversion_belongs_to_the_operator_whose_result_it_converts() -> None:
    found = paths(
        ("a", "Conv", "x", "stem"),
        ("q", "Quantize", "a", None),
        ("d", "Dequantize", "q", None),
        ("b", "Conv", "d", "head"),
    )
    assert found == ["stem", "stem", "stem", "head"]


def test_the_conversion_of_a_weight_belongs_to_its_reader() -> None:
    assert paths(("d", "Dequantize", "w", None), ("b", "Conv", "x d", "head")) == ["head", "head"]


def test_operators_at_the_output_have_the_path_of_what_they_read() -> None:
    found = paths(("a", "Conv", "x", "head"), ("t", "Transpose", "a", None), ("d", "Dequantize", "t", None))
    assert found == ["head"] * 3
