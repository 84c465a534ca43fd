"""Arrays that are not all in memory."""

from __future__ import annotations

import pickle
import tracemalloc

import numpy as np
import pytest

from edgedeploy.core.storage.arrays import Mapped, StoredArrays


def stored(count: int, shape: tuple[int, ...] = (2, 3)) -> StoredArrays:
    arrays = StoredArrays()
    for index in range(count):
        arrays.append(np.full(shape, index, np.float32))
    return arrays


def test_stored_arrays_are_a_sequence() -> None:
    arrays = stored(5)
    assert len(arrays) == 5
    assert [array[0, 0] for array in arrays] == [0, 1, 2, 3, 4]
    assert arrays[-1].shape == (2, 3)
    assert [array[0, 0] for array in arrays[1:3]] == [1, 2]
    with pytest.raises(IndexError):
        arrays[5]


def test_an_array_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="among those of"):
        stored(1).append(np.zeros((3, 2), np.float32))


def test_what_is_read_can_be_written_to_without_changing_what_is_stored() -> None:
    arrays = stored(1)
    arrays[0][:] = 7
    assert arrays[0].max() == 0


def test_memory_does_not_grow_with_the_number_of_arrays() -> None:
    """200 arrays of 256 KiB, and a function of each: never more than a few of them."""
    tracemalloc.start()
    doubled = Mapped(lambda array: 2 * array, stored(200, (256, 256)))
    assert sum(float(array[0, 0]) for array in doubled) == 2 * sum(range(200))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * (256 << 10)


def test_another_process_gets_the_arrays() -> None:
    copied = pickle.loads(pickle.dumps(stored(3)))
    assert [array[0, 0] for array in copied] == [0, 1, 2]
