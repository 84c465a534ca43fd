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
        if operand not in file.producers or product.builtinOptions.adjY:
            continue
        source, order = _swapped(file, operand)
        shape = tuple(file.graph.tensors[operand].shape)
        if shape[-2] < LEAST_ROWS and order != sorted(order):
            continue
        moved = file.transpose(source, order, product)
        columns = _with_shape(file, moved, (*shape[:-2], shape[-1], shape[-2]), product)
        product.inputs = np.array([product.inputs[0], columns], np.int32)
        product.builtinOptions.adjY = True
        changed += 1
    return changed


def _with_shape(file: EditableFile, value: int, shape: tuple[int, ...], before: Any) -> int:
    if tuple(file.graph.tensors[value].shape) == shape:
        return value
    return file.add(RESHAPE, value, shape, shape, before)


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
