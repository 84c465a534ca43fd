"""The course of each row over time: its figures, its change points, and the noise model that it teaches."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgedeploy.benchmarks.comparison.rows import context_of, key_of
from edgedeploy.benchmarks.statistics.changepoints import WINDOW, change_points
from edgedeploy.benchmarks.statistics.launches import Samples
from edgedeploy.benchmarks.statistics.noise import TAIL, RowNoise, learn_noise
from edgedeploy.core.measurement import Measurement
from edgedeploy.core.results.comparison import RowKey
from edgedeploy.core.results.history import HistoryPoint, LevelChange, Series

from .index import HistoryIndex
from .records import device_file

COLUMNS = "id, file, device, model, target, threads, counted, revision, started_at, level, trustworthy, offset"
ORDER = "file, model, target, threads, counted, started_at, rowid"


def find_series(index: HistoryIndex, pattern: str = "", device: str = "") -> list[Series]:
    """The rows whose "model/target" contains `pattern`, on devices whose name contains `device`, each over time."""
    sql = (
        f"select {COLUMNS} from measurements where level is not null and instr(model || '/' || target, ?) "
        f"and instr(lower(device), ?) order by {ORDER}"
    )
    return _all_series(index, index.execute(sql, (pattern, device.lower())))


def series_of(index: HistoryIndex, artifacts: Collection[tuple[str, str]]) -> list[Series]:
    """The rows of these models and targets, each over time; found by the index, however long the history is."""
    sql = f"select {COLUMNS} from measurements where level is not null and model = ? and target = ? order by {ORDER}"
    return [series for artifact in artifacts for series in _all_series(index, index.execute(sql, artifact))]


def _all_series(index: HistoryIndex, rows: Iterable[tuple[Any, ...]]) -> list[Series]:
    groups: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    seen: set[str] = set()  # one measurement that was added under two revisions is one point
    for identity, *row in rows:
        if identity not in seen:
            seen.add(identity)
            groups.setdefault(tuple(row[:6]), []).append(tuple(row[6:]))
    devices = Counter(device for _, device in {key[:2] for key in groups})
    return [_series(index, key, found, is_alone=devices[key[1]] == 1) for key, found in groups.items()]


def _series(index: HistoryIndex, key: tuple[Any, ...], rows: Sequence[tuple[Any, ...]], *, is_alone: bool) -> Series:
    """The course of a row. `is_alone`: no other device has its name; else the end of its file's name tells them apart."""
    file, device, model, target, threads, counted = key
    points = tuple(
        HistoryPoint(
            revision,
            started_at,
            math.exp(level),
            None if trusted is None else bool(trusted),
        )
        for revision, started_at, level, trusted, _ in rows
    )
    kept = [index for index, point in enumerate(points) if point.trustworthy is not False]
    levels = np.log([points[index].value for index in kept])
    found = change_points(levels) if len(levels) else []
    contexts = _Contexts(index, file, [row[-1] for row in rows])
    changes = tuple(
        LevelChange(
            kept[change.index],
            points[kept[change.index]].revision,
            change.change,
            change.p_value,
            contexts.changes(kept[change.index - 1], kept[change.index]),
        )
        for change in found
    )
    recent = levels[-WINDOW:]
    total = 0.0
    if changes:
        first, last = found[0].index - (len(levels) - len(recent)), found[-1].index - (len(levels) - len(recent))
        total = float(np.expm1(recent[last:].mean() - recent[:first].mean()))
    row_key = RowKey(model, target, threads, bool(counted))
    name = device if is_alone else f"{device} ({Path(file).stem[-6:]})"
    return Series(row_key, name, points, changes, total)


@dataclass(frozen=True)
class _Contexts:
    """Under which conditions the measurements of a row were made. They are read where they are asked for: few are."""

    index: HistoryIndex
    file: str
    offsets: Sequence[int]

    def changes(self, before: int, after: int) -> tuple[str, ...]:
        """What differs between two measurements."""
        old, new = (self.index.context_at(self.file, self.offsets[number]) for number in (before, after))
        return tuple(f"{name}: {old[name]} -> {new[name]}" for name in new if name in old and old[name] != new[name])


def noise_models(index: HistoryIndex, rows: Sequence[Measurement]) -> Mapping[RowKey, RowNoise]:
    """For each row the noise models of its repeated measurements: one artifact, one device, one context, many times."""
    return {key_of(row): _noise_of(index, row) for row in rows if row.instructions is None}


def _noise_of(index: HistoryIndex, row: Measurement) -> RowNoise:
    sql = (
        "select artifact_sha256, offset, launch_levels, launch_p90_levels from measurements where file = ? and model = ? "
        "and target = ? and threads = ? and counted = 0 and level is not null and trustworthy is not 0 "
        "and artifact_sha256 <> '' group by id"
    )
    file, wanted = device_file(row.device), context_of(row)
    found: dict[str, list[tuple[Any, ...]]] = {}
    for sha256, *run in index.execute(sql, (file, row.model, row.target, row.threads)):
        found.setdefault(sha256, []).append(tuple(run))
    repeated = [runs for runs in found.values() if len(runs) > 1]
    alike = [[run for run in runs if index.context_at(file, run[0]) == wanted] for runs in repeated]
    medians, p90s = ([[_levels(run[column]) for run in runs] for runs in alike] for column in (1, 2))
    return RowNoise(learn_noise(medians), learn_noise(p90s, TAIL))


def _levels(text: str) -> Samples:
    return np.array(json.loads(text))
