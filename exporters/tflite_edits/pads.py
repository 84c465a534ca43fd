"""Pads of a .tflite file between two transposes that undo each other: they pad what the first transpose reads.

litert_torch pads a torch map in torch's order, between a transpose and its inverse, where it computes convolutions on the
channel-last map. XNNPACK pads 88 channels of 16x16 by three on each side with 198 thousand Arm instructions in the one
order, and with 49 thousand in the other, without 47 thousand for the transposes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .editable_file import TRANSPOSE, EditableFile

PAD = "PAD"


def pad_before_transpose(file: EditableFile) -> int:
    """Moves every pad between a transpose and its inverse before the two, which then are left out; returns how many."""
    moved = 0
    for pad in [op for op in file.graph.operators if file.type(op) == PAD]:
        first = file.producers.get(int(pad.inputs[0]))
        if first is None or file.type(first) != TRANSPOSE:
            continue
        order = file.constant(int(first.inputs[1]))
        widths = np.array(file.constant(int(pad.inputs[1]))).reshape(-1, 2)
        readers = file.readers(int(pad.outputs[0]))
        if len(order) != len(widths) or pad.outputs[0] in file.graph.outputs:
            continue
        if not readers or not all(_undoes(file, op, order) for op in readers):
            continue
        source, back = int(first.inputs[0]), np.argsort(order)
        shape = np.array(file.graph.tensors[source].shape) + widths[back].sum(1)
        padded = file.add(PAD, source, widths[back].ravel().tolist(), shape.tolist(), pad)
        file.read_instead({int(op.outputs[0]): padded for op in readers})
        moved += 1
    return moved


def _undoes(file: EditableFile, operator: Any, order: list[int]) -> bool:
    if file.type(operator) != TRANSPOSE or operator.outputs[0] in file.graph.outputs:
        return False
    return [order[axis] for axis in file.constant(int(operator.inputs[1]))] == sorted(order)
