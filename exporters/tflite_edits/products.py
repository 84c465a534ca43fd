"""Second operands of a .tflite file's matrix products, stored by columns: a @ b  ->  a @ t^T,  t = b^T.

XNNPACK packs a computed second operand for its kernels in every inference. (N, K), which the product transposes itself
(`adj_y`), it copies row by row, (K, N) value by value: 4x12x1024 by 4x1024x12 in int8 takes 416 thousand Arm
instructions, and 99 thousand when the operand is stored as 4x12x1024. Often a transpose is there already, which changes
its order or is no longer needed; a new one costs a tenth of that packing. The gain is small where K is: 8x49x36 by 8x36x49
takes 216 and 161 thousand, 4x12x12 by 4x12x1024 374 and 337 thousand, and its transpose, which moves rows of 12 bytes, 80
thousand more than the other. An operand of fewer than 16 rows that would need such a transpose stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .editable_file import RESHAPE, TRANSPOSE, EditableFile

PRODUCT = "BATCH_MATMUL"
LEAST_ROWS = 16


def read_operands_by_columns(file: EditableFile) -> int:
    """Sets `adj_y` at the products whose second operand is computed and has none; returns how many."""
    changed = 0
    for product in [op for op in file.graph.operators if file.type(op) == PRODUCT]:
        operand = int(product.inputs[1])
        if operand in file.producers and not product.builtinOptions.adjY and _pays(file, operand):
            product.inputs = np.array([product.inputs[0], _transposed(file, operand, product)], np.int32)
            product.builtinOptions.adjY = True
            changed += 1
    return changed


def _pays(file: EditableFile, value: int) -> bool:
    _, order = _swapped(file, value)
    return file.graph.tensors[value].shape[-2] >= LEAST_ROWS or order == sorted(order)


def _transposed(file: EditableFile, value: int, before: Any) -> int:
    """The tensor `value` with its last two dimensions swapped, computed before an operator."""
    shape = tuple(file.graph.tensors[value].shape)
    swapped = (*shape[:-2], shape[-1], shape[-2])
    source, order = _swapped(file, value)
    moved = file.transpose(source, order, before)
    if tuple(file.graph.tensors[moved].shape) == swapped:
        return moved
    return file.add(RESHAPE, moved, swapped, swapped, before)


def _swapped(file: EditableFile, value: int) -> tuple[int, list[int]]:
    """A tensor, and the order of its dimensions that is `value` with the last two swapped, perhaps before a reshape."""
    viewed = _before_reshape(file, value)
    maker = file.producers.get(viewed)
    if maker is not None and file.type(maker) == TRANSPOSE:
        return int(maker.inputs[0]), _swap_last(file.constant(int(maker.inputs[1])))
    return viewed, _swap_last(range(len(file.graph.tensors[viewed].shape)))


def _before_reshape(file: EditableFile, value: int) -> int:
    """What a reshape that keeps the last two dimensions reads; the value itself where it is of another operator."""
    maker = file.producers.get(value)
    if maker is None or file.type(maker) != RESHAPE:
        return value
    source = int(maker.inputs[0])
    shapes = [tuple(file.graph.tensors[tensor].shape[-2:]) for tensor in (source, value)]
    return source if shapes[0] == shapes[1] else value


def _swap_last(order: Sequence[int]) -> list[int]:
    return [*order[:-2], order[-1], order[-2]]
