"""The figures that are kept in each line of the history, and what they are for: an index that is built at once."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edgedeploy.benchmarks.history import HistoryStore, find_series, lines
from edgedeploy.benchmarks.history.figures import FIGURES_VERSION, figures_of
from edgedeploy.benchmarks.history.index import damaged_lines, open_index, query
from edgedeploy.benchmarks.history.records import make_record
from edgedeploy.benchmarks.history.store import append_lines
from edgedeploy.core.measurement import InstructionCount, Measurement
from edgedeploy.core.storage.json_records import encode_line
from tests.benchmarks.statistics.traces import quiet, row
from tests.cli.rows import PHONE, measurement

FIGURES = f"select {', '.join(lines.OF_A_FIGURE)} from measurements order by offset"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HistoryStore:
    monkeypatch.setenv("EDGEDEPLOY_CACHE_DIR", str(tmp_path / "cache"))
    return HistoryStore(tmp_path / "history")


def timed(seed: int, factor: float = 1.0, **changes: Any) -> Measurement:
    rng = np.random.default_rng(seed)
    launches = (quiet(rng) * factor for _ in range(3))
    return row(*launches, started_at=f"2026-01-{seed + 1:02}T00:00:00+00:00", **changes)


def rewritten(path: Path, change: Any) -> None:
    """The file with each record changed."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        change(record)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def test_the_version_goes_up_with_every_change_of_the_figures() -> None:
    """Where this fails, the figures of the same measurement became others: FIGURES_VERSION has to go up."""
    warm = np.concatenate([np.linspace(2.0, 1.0, 10), np.full(40, 1.0)]) * 1e7
    found = figures_of(replace(measurement(), samples_ns=tuple(map(round, warm)), sample_launches=(0,) * 50))
    assert FIGURES_VERSION == 2
    assert found.launch_levels == found.launch_p90_levels == pytest.approx((np.log(1e7),), abs=1e-9)
    assert msgspec.to_builtins(replace(found, level=0.0, launch_levels=(), launch_p90_levels=())) == {
        "version": 2, "started_at": "", "device": "Google Pixel 7", "model": "net", "target": "onnx-fp32",
        "threads": 1, "counted": False, "level": 0.0, "launch_levels": (), "launch_p90_levels": (),
        "median_ns": 2_000_000, "p90_ns": 2_000_000, "instructions": None, "size_bytes": 3 * 2**20, "load_ns": 30_000_000,
        "peak_rss_bytes": 48 * 2**20, "sqnr_db": None, "trustworthy": None, "artifact_sha256": "",
        "runtime_version": "1.31.1",
    }  # fmt: skip


@pytest.mark.parametrize("change", ["without", "of another version", "of another shape"])
def test_a_line_whose_figures_cannot_be_taken_has_them_computed(change: str, store: HistoryStore) -> None:
    (path,) = store.add([timed(1), timed(2, 1.1)])
    before = query(store, FIGURES)[1]

    def changed(record: Any) -> None:
        if change == "without":
            del record["figures"]
        else:
            record["figures"] |= {"version": 99, "level": 0.0} if change == "of another version" else {"level": "high"}

    rewritten(path, changed)
    assert query(store, FIGURES)[1] == before


def test_figures_are_not_believed_of_a_measurement_that_was_edited(store: HistoryStore) -> None:
    (path,) = store.add([timed(1)])

    def edited(record: Any) -> None:
        record["measurement"]["model"] = "other"

    rewritten(path, edited)
    assert query(store, "select model from measurements")[1] == [("other",)]


def test_figures_that_were_edited_are_not_believed(store: HistoryStore) -> None:
    """Nor those that a bad disk changed: a level of 1000 was the logarithm of a number that Python does not have."""
    (path,) = store.add([timed(1), timed(2)])
    before = query(store, FIGURES)[1]
    text = path.read_text()
    edited = re.sub(r'"level":[\d.]+,', '"level":1000.0,', text).replace(
        '"device":"Google Pixel 7"', '"device":"Pixel"'
    )
    assert len(edited) != len(text)
    path.write_text(edited)
    assert query(store, FIGURES)[1] == before
    assert len(find_series(open_index(store))[0].points) == 2


def test_the_figures_of_a_line_spare_the_reading_of_its_measurement(
    store: HistoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add([timed(seed) for seed in range(3)])
    monkeypatch.setattr(lines, "read_line", pytest.fail)
    assert query(store, "select count(*) from measurements")[1] == [(3,)]


def test_a_number_that_no_column_holds_damages_its_line_only(store: HistoryStore) -> None:
    (path,) = store.add([timed(1)])
    good = path.read_text()
    huge = good.replace('"threads":1,', f'"threads":{2**63},').replace('"size_bytes":', '"size_bytes":-', 1)
    count = InstructionCount("cortex-a76", 10**30, {}, 1, 1, 0.0)
    counted = encode_line({**json.loads(good), "measurement": measurement(instructions=count)}) + "\n"
    path.write_text(huge + good.replace('"samples_ns":[', '"samples_ns":[-1,') + counted + good)
    index = open_index(store)
    assert [damaged.line for damaged in damaged_lines(index)] == [1, 2, 3]
    assert len(find_series(index)[0].points) == 1


def test_a_change_point_says_what_else_changed(store: HistoryStore) -> None:
    updated = replace(PHONE, build="new")
    store.add([timed(seed, 1.2 if seed > 9 else 1.0, device=updated if seed > 9 else PHONE) for seed in range(20)])
    (series,) = find_series(open_index(store))
    assert [(change.index, change.context) for change in series.changes] == [(10, ("build:  -> new",))]


@pytest.mark.slow
def test_a_hundred_thousand_rows_are_indexed_and_listed_in_the_time_of_parsing_them(store: HistoryStore) -> None:
    """In processor time, against a JSON parser over the same lines: a clean clone pays for the index each time."""
    rng = np.random.default_rng(0)
    texts = []
    for number in range(100_000):
        times = tuple(round(ns) for ns in quiet(rng, 9))
        when = f"2026-01-01T00:00:00.{number:06}+00:00"
        made = measurement(model=f"net{number % 100}", samples_ns=times, sample_launches=(0, 1, 2) * 3, started_at=when)
        texts.append(encode_line(make_record(made, f"{number // 100:040}", when)))
    store.folder.mkdir()
    append_lines(store.folder / "adb-pixel.jsonl", texts)
    began = time.process_time()
    for text in texts:
        json.loads(text)
    parsed = time.process_time()
    index = open_index(store)
    built = time.process_time()
    found = find_series(index)
    listed = time.process_time()
    assert sum(len(series.points) for series in found) == 100_000
    assert built - parsed < 2 * (parsed - began)
    assert listed - built < 3 * (parsed - began)
