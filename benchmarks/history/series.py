"""The course of each row over time: its figures, its change points, and the noise model that it teaches."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from edgedeploy.benchmarks.comparison.rows import context_of, key_of
from edgedeploy.benchmarks.statistics.changepoints import WINDOW, change_points
from edgedeploy.benchmarks.statistics.launches import Samples
from edgedeploy.benchmarks.statistics.noise import NoiseModel, learn_noise
from edgedeploy.core.measurement import Measurement
from edgedeploy.core.results.comparison import RowKey
from edgedeploy.core.results.history import HistoryPoint, LevelChange, Series

from .records import device_file

COLUMNS = "id, file, device, model, target, threads, counted, revision, started_at, level, trustworthy, context"
ORDER = "file, model, target, threads, counted, started_at, rowid"


def find_series(connection: sqlite3.Connection, pattern: str = "", device: str = "") -> list[Series]:
    """The rows whose "model/target" contains `pattern`, on devices whose name contains `device`, each over time."""
    sql = (
        f"select {COLUMNS} from measurements where level is not null and instr(model || '/' || target, ?) "
        f"and instr(lower(device), ?) order by {ORDER}"
    )
    return _all_series(connection.execute(sql, (pattern, device.lower())))


def series_of(connection: sqlite3.Connection, artifacts: Collection[tuple[str, str]]) -> list[Series]:
    """The rows of these models and targets, each over time; found by the index, however long the history is."""
    sql = f"select {COLUMNS} from measurements where level is not null and model = ? and target = ? order by {ORDER}"
    return [series for artifact in artifacts for series in _all_series(connection.execute(sql, artifact))]


def _all_series(rows: Iterable[tuple[Any, ...]]) -> list[Series]:
    groups: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    seen: set[str] = set()  # one measurement that was added under two revisions is one point
    for identity, *row in rows:
        if identity not in seen:
            seen.add(identity)
            groups.setdefault(tuple(row[:6]), []).append(tuple(row[6:]))
    return [_series(key, found) for key, found in groups.items()]


def _series(key: tuple[Any, ...], rows: Sequence[tuple[Any, ...]]) -> Series:
    _, device, model, target, threads, counted = key
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
    contexts = [row[-1] for row in rows]
    changes = tuple(
        LevelChange(
            kept[change.index],
            points[kept[change.index]].revision,
            change.change,
            change.p_value,
            _context_changes(contexts[kept[change.index - 1]], contexts[kept[change.index]]),
        )
        for change in found
    )
    recent = levels[-WINDOW:]
    total = 0.0
    if changes:
        first, last = found[0].index - (len(levels) - len(recent)), found[-1].index - (len(levels) - len(recent))
        total = float(np.expm1(recent[last:].mean() - recent[:first].mean()))
    row_key = RowKey(model, target, threads, bool(counted))
    return Series(row_key, device, points, changes, total)


def _context_changes(before: str, after: str) -> tuple[str, ...]:
    old, new = json.loads(before), json.loads(after)
    return tuple(f"{name}: {old.get(name, '')} -> {new[name]}" for name in new if old.get(name) != new[name])


def noise_models(connection: sqlite3.Connection, rows: Sequence[Measurement]) -> Mapping[RowKey, NoiseModel]:
    """For each row the noise model of its repeated measurements: one artifact, one device, one context, many times."""
    sql = (
        "select distinct id, artifact_sha256, context, launch_levels from measurements where file = ? and model = ? "
        "and target = ? and threads = ? and counted = 0 and trustworthy is not 0 and artifact_sha256 <> ''"
    )
    models: dict[RowKey, NoiseModel] = {}
    for row in rows:
        if row.instructions is not None:
            continue
        wanted = context_of(row)
        artifacts: dict[str, list[Samples]] = {}
        for _, sha256, context, levels in connection.execute(
            sql, (device_file(row.device), row.model, row.target, row.threads)
        ):
            if json.loads(context) == wanted:
                artifacts.setdefault(sha256, []).append(np.array(json.loads(levels)))
        models[key_of(row)] = learn_noise(list(artifacts.values()))
    return models
