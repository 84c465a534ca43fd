"""Reads and writes the runner's tensor files (PROTOCOL.md, "Tensor files")."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgedeploy.core.errors import RunnerFailed
from edgedeploy.core.parity import Array
from edgedeploy.core.storage.files import write_atomically

_MAGIC = b"edgedeploy-tensors 1"
DTYPES = (
    *("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
    *("float16", "float32", "float64"),
)


def write_tensors(path: Path, tensors: Sequence[Array]) -> None:
    """Writes a tensor file, atomically. Raises RunnerFailed for a dtype that the runner cannot take."""
    content = io.BytesIO()
    content.write(_MAGIC + b"\n")
    for tensor in tensors:
        if tensor.dtype.name not in DTYPES:
            raise RunnerFailed(f"the runner takes no input of dtype {tensor.dtype}", details=[f"known: {DTYPES}"])
        content.write(" ".join([tensor.dtype.name, str(tensor.ndim), *map(str, tensor.shape)]).encode() + b"\n")
    content.write(b"\n")
    for tensor in tensors:
        content.write(np.ascontiguousarray(tensor, tensor.dtype.newbyteorder("<")).tobytes())
    write_atomically(path, content.getvalue())


def read_tensors(path: Path) -> list[Array]:
    """Reads a tensor file. Raises RunnerFailed where it is damaged."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunnerFailed(f"the runner's outputs cannot be read: {path}: {error.strerror}") from error
    header, separator, data = content.partition(b"\n\n")
    lines = header.split(b"\n")
    if not separator or lines[0] != _MAGIC:
        raise RunnerFailed(f"{path} is not a tensor file")
    tensors: list[Array] = []
    offset = 0
    for line in lines[1:]:
        name, shape = _parse_line(line, path)
        dtype = np.dtype(name).newbyteorder("<")
        size = dtype.itemsize * int(np.prod(shape, dtype=object))
        if offset + size > len(data):
            raise RunnerFailed(f"{path} is cut short: its header declares more data than there is")
        flat = np.frombuffer(data, dtype, size // dtype.itemsize, offset)
        tensors.append(flat.reshape(shape).astype(np.dtype(name)))
        offset += size
    if offset != len(data):
        raise RunnerFailed(f"{path} has {len(data) - offset} bytes more than its header declares")
    return tensors


def _parse_line(line: bytes, path: Path) -> tuple[str, tuple[int, ...]]:
    try:
        name, rank, *shape = line.decode("ascii").split(" ")
        lengths = tuple(int(length) for length in shape)
        if name not in DTYPES or len(lengths) != int(rank) or min(lengths, default=0) < 0:
            raise ValueError
    except ValueError:
        raise RunnerFailed(f"{path} is not a tensor file: bad header line {line[:80]!r}") from None
    return name, lengths
