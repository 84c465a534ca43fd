from __future__ import annotations

from edgedeploy.exporters.tflite_edits.products import read_operands_by_columns

from .tflite_files import File, edited, types


def by_columns(model: bytes) -> list[str]:
    """The operators' types after the edit, which leaves nothing to do."""
    graph, count = edited(read_operands_by_columns, model)
    assert count == 1
    return types(graph)


def test_a_transpose_of_the_operand_is_left_out() -> None:
    file = File([2, 5, 16], [2, 3, 16])
    product = file.product(file.moved(1, [0, 2, 1]), [2, 5, 3])
    assert by_columns(file.of_outputs(product)) == ["BATCH_MATMUL"]


def test_another_operand_is_transposed() -> None:
    file = File([2, 5, 16], [2, 16, 3])
    product = file.product(file.add("ADD", [1, 1], [2, 16, 3]), [2, 5, 3])
    assert by_columns(file.of_outputs(product)) == ["ADD", "TRANSPOSE", "BATCH_MATMUL"]


def test_a_transpose_before_a_reshape_of_the_batch_changes_its_order() -> None:
    file = File([2, 5, 16], [1, 16, 2, 3])
    heads = file.moved(1, [0, 2, 1, 3])
    operand = file.add("RESHAPE", [heads, file.tensor([3], [2, 16, 3])], [2, 16, 3])
    model = file.of_outputs(file.product(operand, [2, 5, 3]))
    assert by_columns(model) == ["TRANSPOSE", "RESHAPE", "BATCH_MATMUL"]


def test_a_transpose_that_is_there_is_read() -> None:
    file = File([2, 5, 16], [16, 2, 3])
    columns, rows = file.moved(1, [1, 2, 0]), file.moved(1, [1, 0, 2])
    assert by_columns(file.of_outputs(file.product(rows, [2, 5, 3]), columns)) == ["TRANSPOSE", "BATCH_MATMUL"]


def test_a_transpose_that_is_read_elsewhere_stays() -> None:
    file = File([2, 5, 16], [2, 3, 16])
    rows = file.moved(1, [0, 2, 1])
    assert by_columns(file.of_outputs(file.product(rows, [2, 5, 3]), rows)) == ["TRANSPOSE", "BATCH_MATMUL"]


def test_an_input_of_the_network_is_left_as_it_is() -> None:
    file = File([2, 5, 16], [2, 16, 3])
    graph, count = edited(read_operands_by_columns, file.of_outputs(file.product(1, [2, 5, 3])))
    assert (types(graph), count) == (["BATCH_MATMUL"], 0)


def test_an_operand_of_few_rows_is_not_transposed_anew() -> None:
    file = File([2, 5, 15], [2, 15, 3])
    product = file.product(file.add("ADD", [1, 1], [2, 15, 3]), [2, 5, 3])
    graph, count = edited(read_operands_by_columns, file.of_outputs(product))
    assert (types(graph), count) == (["ADD", "BATCH_MATMUL"], 0)


def test_one_whose_transpose_is_left_out_is_read_by_columns() -> None:
    file = File([2, 5, 4], [2, 3, 4])
    assert by_columns(file.of_outputs(file.product(file.moved(1, [0, 2, 1]), [2, 5, 3]))) == ["BATCH_MATMUL"]
