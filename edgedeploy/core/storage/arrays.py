"""Sequences of arrays that are not all in memory: stored in a file, or computed when they are asked for."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

S = TypeVar("S")
T = TypeVar("T")


def chunks(items: Sequence[T], length: int) -> Iterator[Sequence[T]]:
    """A sequence in pieces of this length; the last one may be shorter."""
    for first in range(0, len(items), length):
        yield items[first : first + length]


class StoredArrays(Sequence[NDArray[np.float32]]):
    """Float32 arrays of one shape in a temporary file without a name, which is gone with the last reference to it.

    An array is read each time it is asked for.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this object
        self._shape: tuple[int, ...] = ()
        self._count = 0

    def append(self, array: NDArray[np.float32]) -> None:
        """Stores one more. Raises ValueError for another shape than the first one's, OSError for a full disk."""
        if self._count and array.shape != self._shape:
            raise ValueError(f"an array of {array.shape} among those of {self._shape}")
        self._shape = array.shape
        self._file.write(np.ascontiguousarray(array, dtype=np.float32).tobytes())
        self._file.flush()
        self._count += 1

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> NDArray[np.float32]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[NDArray[np.float32]]: ...
    def __getitem__(self, index: int | slice) -> NDArray[np.float32] | Sequence[NDArray[np.float32]]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(self._count))]
        if not -self._count <= index < self._count:
            raise IndexError(index)
        size = 4 * int(np.prod(self._shape))
        content = bytearray(os.pread(self._file.fileno(), size, size * (index % self._count)))
        return np.frombuffer(content, dtype=np.float32).reshape(self._shape)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return (self[index] for index in range(self._count))

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)  # another process gets the arrays, not the file


class Mapped(Sequence[T], Generic[S, T]):
    """A function of each item of a sequence, computed whenever it is asked for."""

    def __init__(self, function: Callable[[S], T], items: Sequence[S]) -> None:
        self._function, self._items = function, items

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return Mapped(self._function, self._items[index])
        return self._function(self._items[index])

    def __iter__(self) -> Iterator[T]:
        return map(self._function, iter(self._items))
