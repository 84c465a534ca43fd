from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgedeploy.core.errors import UsageError
from edgedeploy.core.storage.json_records import RecordInvalid, convert, decode, encode, encode_line, write_record


@dataclass(frozen=True)
class Inner:
    value: float


@dataclass(frozen=True)
class Outer:
    name: str
    inner: tuple[Inner, ...] = ()
    schema_version: int = 1


def test_a_record_survives_its_json() -> None:
    record = Outer("a", (Inner(0.5), Inner(2.0)))
    assert decode(encode(record), Outer, schema_version=1) == record


def test_a_record_fits_one_line() -> None:
    line = encode_line(Outer("a\nb", (Inner(0.5),)))
    assert "\n" not in line
    assert decode(line, Outer) == Outer("a\nb", (Inner(0.5),))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"schema_version": 1}', "missing required field `name`"),
        ('{"schema_version": 1, "name": 2}', "$.name"),
        ('{"schema_version": 1, "name": "a", "inner": [{"value": 1}, {"value": "x"}]}', "$.inner[1].value"),
        ('{"name": "a"}', "missing required field `schema_version`"),
        ('{"schema_version": 2, "name": "a"}', "install a newer edgedeploy"),
        ("[]", "Expected `object`"),
        ("{", "truncated"),
        ("", "truncated"),
        ('{"name": "a", "later": ' + "[" * 100_000, "recursion"),
    ],
)
def test_what_is_wrong_is_named(text: str, words: str) -> None:
    with pytest.raises(RecordInvalid) as caught:
        decode(text, Outer, schema_version=1)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_bytes_that_are_not_text_are_refused() -> None:
    with pytest.raises(RecordInvalid):
        decode(b'{"name": "\xff"}', Outer)


def test_unknown_keys_are_ignored() -> None:
    assert decode('{"name": "a", "later": 1}', Outer) == Outer("a")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_figure_that_json_cannot_hold_is_never_written_as_null(value: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\$\.inner\[0\]\.value is"):
        write_record(tmp_path / "r.json", Outer("a", (Inner(value),)))
    assert list(tmp_path.iterdir()) == []


def test_what_another_parser_read_is_checked_too() -> None:
    assert convert({"name": "a", "inner": [{"value": 1}]}, Outer) == Outer("a", (Inner(1.0),))
    with pytest.raises(RecordInvalid, match=r"\$\.inner"):
        convert({"name": "a", "inner": 3}, Outer)


def test_a_name_that_json_cannot_hold_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"art\\udce9 is a name whose bytes are no UTF-8"):
        encode(Outer("art\udce9"))


@pytest.mark.parametrize("version", [0, -1])
def test_a_schema_version_that_there_never_was_is_refused(version: int) -> None:
    with pytest.raises(RecordInvalid, match="the first one is 1"):
        decode(f'{{"schema_version": {version}, "name": "a"}}', Outer, schema_version=2)
