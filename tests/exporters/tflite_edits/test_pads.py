from __future__ import annotations

import pytest

from edgedeploy.exporters.tflite_edits.pads import pad_before_transpose

from .tflite_files import File, edited, types

WIDTHS = [0, 0, 0, 0, 1, 2, 3, 0]


def padded(file: File, value: int) -> int:
    """A map (1, 5, 4, 3) with rows above and below, and columns on the left."""
    return file.add("PAD", [value, file.tensor([4, 2], WIDTHS)], [1, 5, 7, 6])


def test_a_pad_between_a_transpose_and_its_inverse_goes_before_both() -> None:
    file = File([1, 4, 3, 5], [1])
    back = file.moved(padded(file, file.moved(0, [0, 3, 1, 2])), [0, 2, 3, 1])
    graph, count = edited(pad_before_transpose, file.of_outputs(file.add("ADD", [back, back], [1, 7, 6, 5])))
    assert (types(graph), count) == (["PAD", "ADD"], 1)


@pytest.mark.parametrize("others", [True, False])
def test_it_stays_where_its_result_is_read_in_its_own_order_too(others: bool) -> None:
    file = File([1, 4, 3, 5], [1])
    pad = padded(file, file.moved(0, [0, 3, 1, 2]))
    back = file.moved(pad, [0, 2, 3, 1])
    doubled = file.add("ADD", [back, back], [1, 7, 6, 5])
    outputs = [doubled, file.add("ADD", [pad, pad], [1, 5, 7, 6])] if others else [doubled, pad]
    assert edited(pad_before_transpose, file.of_outputs(*outputs))[1] == 0


@pytest.mark.parametrize("order", [[0, 3, 1, 2], [0, 1, 2, 3]])
def test_it_stays_where_the_transpose_after_it_is_another(order: list[int]) -> None:
    file = File([1, 4, 3, 5], [1])
    after = file.moved(padded(file, file.moved(0, [0, 3, 1, 2])), order)
    shape = [[1, 5, 7, 6][axis] for axis in order]
    assert edited(pad_before_transpose, file.of_outputs(file.add("ADD", [after, after], shape)))[1] == 0
