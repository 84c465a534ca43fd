"""Reading result files: what cannot be read gets an error with the file, the line and the reason."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from edgedeploy.core.errors import ResultsInvalid
from edgedeploy.core.measurement import SCHEMA_VERSION, Measurement, ResultFile
from edgedeploy.core.storage.files import read_limited
from edgedeploy.core.storage.json_records import RecordInvalid, decode

from .paired import PairedComparison
from .source import SourcedResults

LARGEST = 2**63
HINT = "a file that `edgedeploy bench --json FILE` wrote, or a folder of such files"


def read_results(path: Path) -> ResultFile:
    """The measurements in a result file, or in all `*.json` below a folder. Raises ResultsInvalid."""
    return joined(read_result_files(path))


def joined(files: Sequence[ResultFile]) -> ResultFile:
    """The measurements and comparisons of several files; the tool is that of the last one."""
    rows = tuple(row for file in files for row in file.measurements)
    return ResultFile(rows, tool=files[-1].tool, pairs=tuple(pair for file in files for pair in file.pairs))


def read_result_files(path: Path) -> list[SourcedResults]:
    """A result file, or each `*.json` below a folder, by name; at least one. Raises ResultsInvalid."""
    if not path.is_dir():
        return [read_result_file(path)]
    files = [read_result_file(file) for file in sorted(path.rglob("*.json"))]
    if not files:
        raise ResultsInvalid(f"there is no result file below {path}", hint=HINT)
    return files


def read_result_file(path: Path) -> SourcedResults:
    """The measurements of one file. Raises ResultsInvalid."""
    try:
        data = read_limited(path)
    except OSError as error:
        raise ResultsInvalid(f"{path} cannot be read: {error.strerror}", hint=HINT) from None
    try:
        found = decode(data, SourcedResults, schema_version=SCHEMA_VERSION)
    except RecordInvalid as error:
        raise ResultsInvalid(*explain_invalid(path, data, str(error)), hint=HINT) from None
    for index, row in enumerate(found.measurements):
        check_consistent(row, f"{path}, line {line_of(data, ['measurements', index])}")
    for index, pair in enumerate(found.pairs):
        _check_pair(pair, f"{path}, line {line_of(data, ['pairs', index])}")
    return found


def explain_invalid(path: Path, data: bytes, reason: str) -> tuple[str]:
    """The message for JSON that is not the expected record: the file, the line, the reason."""
    if not data.strip():
        return (f"{path} is empty",)
    byte = re.search(r"\(byte (\d+)\)", reason)
    if byte:
        line = data[: int(byte.group(1))].count(b"\n") + 1
    elif "truncated" in reason:
        line = data.rstrip().count(b"\n") + 1
    else:
        keys = re.search(r"`\$([^`]*)`", reason)
        line = line_of(data, _keys(keys.group(1)) if keys else [])
    starts_a_sentence = reason[1:2].islower()  # and is not a name such as JSON
    return (f"{path}, line {line}: {reason[:1].lower() if starts_a_sentence else reason[:1]}{reason[1:]}",)


def check_consistent(row: Measurement, where: str) -> None:
    """Raises ResultsInvalid for a record whose fields contradict each other."""
    if row.sample_launches and len(row.sample_launches) != len(row.samples_ns):
        raise ResultsInvalid(
            f"{where}: {len(row.samples_ns)} samples_ns and {len(row.sample_launches)} sample_launches", hint=HINT
        )
    if any(sample <= 0 for sample in row.samples_ns):
        raise ResultsInvalid(f"{where}: samples_ns has a value that is not positive", hint=HINT)
    figures = (row.size_bytes, row.load_ns, row.first_inference_ns, row.peak_rss_bytes, *row.samples_ns)
    if any(figure is not None and not 0 <= figure < LARGEST for figure in figures):
        raise ResultsInvalid(f"{where}: a size or time is negative, or has more than 64 bits", hint=HINT)
    if row.instructions is not None and not 0 < row.instructions.total < LARGEST:
        raise ResultsInvalid(f"{where}: instructions.total is not positive, or has more than 64 bits", hint=HINT)


def _check_pair(pair: PairedComparison, where: str) -> None:
    measured = {figure.metric for figure in pair.figures if figure.base_ns and figure.head_ns}
    if "median" not in measured or len(measured) < len(pair.figures):
        raise ResultsInvalid(f"{where}: figures has no median, or one that no block measured", hint=HINT)
    if not 0 < pair.false_alarm_rate < 1:
        raise ResultsInvalid(f"{where}: false_alarm_rate is not between 0 and 1", hint=HINT)


def line_of(data: bytes, keys: Sequence[str | int]) -> int:
    """The line of the value that `keys` lead to in a JSON text, from 1; of the last one that is there."""
    text = data.decode(errors="replace")
    decoder, position = json.JSONDecoder(), _skip(text, 0)
    for key in keys:
        found = _inside(decoder, text, position, key)
        if found is None:
            break
        position = found
    return text.count("\n", 0, position) + 1


def _inside(decoder: json.JSONDecoder, text: str, position: int, key: str | int) -> int | None:
    """Where the value of `key` begins in the object or list at `position`."""
    if text[position : position + 1] not in ("{", "["):
        return None
    is_object, index = text[position] == "{", 0
    position = _skip(text, position + 1)
    try:
        while text[position] not in "}]":
            name: str | int = index
            if is_object:
                name, position = decoder.raw_decode(text, position)
                position = _skip(text, position)
            if name == key:
                return position
            _, position = decoder.raw_decode(text, position)
            position, index = _skip(text, position), index + 1
    except (ValueError, IndexError):
        return None
    return None


def _skip(text: str, position: int) -> int:
    while text[position : position + 1] in (" ", "\n", "\r", "\t", ",", ":"):
        position += 1
    return position


def _keys(path: str) -> list[str | int]:
    """`.measurements[3].threads` -> ["measurements", 3, "threads"]; up to the first key that msgspec leaves open."""
    keys: list[str | int] = []
    for name, index in re.findall(r"\.(\w+)|\[(\d+|\.\.\.)\]", path):
        if index == "...":
            break
        keys.append(name or int(index))
    return keys
