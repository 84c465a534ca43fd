"""Typed JSON: every record that is written to a file or read from one goes through here.

Records are frozen dataclasses; msgspec validates them while it reads. Unknown keys are ignored, so that a newer minor
version of edgedeploy can add some. A missing key, a value of another type, and a newer `schema_version` are errors that
name the key.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from edgedeploy.core.errors import UsageError

from .files import write_atomically

T = TypeVar("T")


class RecordInvalid(ValueError):
    """JSON that is not the expected record. The message names the key, such as `$.inputs[0].shape`."""


class _Versioned(msgspec.Struct):
    schema_version: int


def to_builtins(record: Any) -> Any:
    """The record as dicts, lists, strings and numbers. Raises ValueError for NaN and infinity, which JSON cannot hold."""
    plain = msgspec.to_builtins(record)
    _refuse_non_finite(plain, "$")
    return plain


def encode(record: Any) -> str:
    """The record as indented JSON with a newline at the end. Raises ValueError for NaN and infinity.

    Raises UsageError for a name whose bytes are no UTF-8.
    """
    return msgspec.json.format(_encoded(record), indent=2).decode() + "\n"


def encode_line(record: Any) -> str:
    """The record as JSON in one line, without a newline. Raises as `encode` does."""
    return _encoded(record).decode()


def _encoded(record: Any) -> bytes:
    try:
        return msgspec.json.encode(to_builtins(record))
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{error.object} is a name whose bytes are no UTF-8, which JSON cannot hold",
            hint="rename the file or folder",
        ) from None


def write_record(path: Path, record: Any) -> None:
    """Writes a record as JSON, atomically. Raises OutputFailed."""
    write_atomically(path, encode(record))


def decode(data: str | bytes, kind: type[T], *, schema_version: int | None = None) -> T:
    """The record of type `kind` in a JSON text.

    Args:
        schema_version: the newest one that this version of edgedeploy reads; None where the record has none.

    Raises RecordInvalid, whose message is one sentence.
    """
    try:
        if schema_version is not None:
            check_schema_version(msgspec.json.decode(data, type=_Versioned).schema_version, schema_version)
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RecordInvalid(str(error)) from None


def convert(value: Any, kind: type[T]) -> T:
    """The record of type `kind` in what a JSON parser gave. Raises RecordInvalid."""
    try:
        return msgspec.convert(value, type=kind)
    except msgspec.ValidationError as error:
        raise RecordInvalid(str(error)) from None


def check_schema_version(found: int, known: int) -> None:
    """Raises RecordInvalid for a schema that is newer than the known one, and for one that there never was."""
    if found < 1:
        raise RecordInvalid(f"it has schema version {found}; the first one is 1")
    if found > known:
        raise RecordInvalid(
            f"it has schema version {found} and this edgedeploy reads versions up to {known}: install a newer edgedeploy"
        )


def _refuse_non_finite(value: Any, path: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{path} is {value}, which JSON cannot hold")
    if isinstance(value, dict):
        for key, inner in value.items():
            _refuse_non_finite(inner, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            _refuse_non_finite(inner, f"{path}[{index}]")
