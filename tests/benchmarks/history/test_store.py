"""The history: what was acknowledged is never lost, damage costs its line only, and it stays fast."""

from __future__ import annotations

import csv
import multiprocessing
import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgedeploy.benchmarks.history import HistoryStore, find_series, index
from edgedeploy.benchmarks.history.figures import FIGURES_VERSION
from edgedeploy.benchmarks.history.index import damaged_lines, open_index, query, records_of_revision
from edgedeploy.benchmarks.history.records import HistoryRecord, make_record
from edgedeploy.benchmarks.history.series import noise_models, series_of
from edgedeploy.benchmarks.reports.interchange import render_otava
from edgedeploy.core.errors import ResultsInvalid, UsageError
from edgedeploy.core.measurement import InstructionCount, Measurement
from edgedeploy.core.results.report import Report
from tests.benchmarks.statistics.traces import quiet, row
from tests.cli.rows import PHONE, measurement


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HistoryStore:
    monkeypatch.setenv("EDGEDEPLOY_CACHE_DIR", str(tmp_path / "cache"))
    return HistoryStore(tmp_path / "history")


def timed(seed: int, factor: float = 1.0, **changes: object) -> Measurement:
    rng = np.random.default_rng(seed)
    when = f"2026-01-01T{seed // 60:02}:{seed % 60:02}:00+00:00"
    return row(*(quiet(rng) * factor for _ in range(3)), started_at=when, **changes)


def ids(store: HistoryStore) -> list[str]:
    found = [record for path in store.files() for record in store.records(path)]
    return [record.id for record in found if isinstance(record, HistoryRecord)]


def test_rows_come_back_as_they_were_and_the_same_row_counts_once(store: HistoryStore) -> None:
    one, other = timed(1), timed(2)
    (path,) = store.add([one, other], "abc")
    store.add([one], "abc")
    first = next(iter(store.records(path)))
    assert isinstance(first, HistoryRecord)
    assert (first.measurement, first.revision) == (one, "abc")
    assert query(store, "select count(*), min(revision) from measurements")[1] == [(2, "abc")]
    assert [found.measurement for found in records_of_revision(store, "abc")] == [one, other]
    assert "merge=union" in (store.folder / ".gitattributes").read_text()


def test_each_device_has_its_file_and_long_launches_are_thinned(store: HistoryStore) -> None:
    rng = np.random.default_rng(0)
    long = row(*(quiet(rng, 400) for _ in range(2)), slowed_samples=(0, 1, 799))
    counted = measurement(instructions=InstructionCount("a", 10**6, {}, 1, 1, 0.0), samples_ns=(), sample_launches=())
    assert len(store.add([long, counted, timed(1, device=timed(1).device)])) == 1
    kept = make_record(long, "", "").measurement
    assert (len(kept.samples_ns), set(kept.sample_launches), kept.slowed_samples) == (100, {0, 1}, (0,))
    assert kept.latency_ns == long.latency_ns


def test_two_devices_of_one_name_are_two_courses_that_can_be_told_apart(store: HistoryStore) -> None:
    phones = [replace(PHONE, serial=serial) for serial in ("one", "two")]
    files = store.add([timed(seed, device=phone) for seed in range(3) for phone in phones])
    found = find_series(open_index(store))
    assert {series.device for series in found} == {f"Google Pixel 7 ({path.stem[-6:]})" for path in files}
    assert [len(series.points) for series in found] == [3, 3]
    table = render_otava(Report((), series=tuple(found))).splitlines()
    assert len(next(csv.reader(table))) == 2 + 2  # time, commit, and a column of each
    assert [series.device for series in series_of(open_index(store), [("net", "onnx-fp32")])] == [
        s.device for s in found
    ]


def test_a_damaged_line_is_reported_and_costs_nothing_else(store: HistoryStore) -> None:
    (path,) = store.add([timed(1)])
    text = path.read_text()
    path.write_text(text + text[:100] + "\n" + text.replace('"schema_version":1', '"schema_version":9', 1) + text[:50])
    store.add([timed(2)])  # after half a line that a killed writer left
    assert len(ids(store)) == 2
    connection = open_index(store)
    found = damaged_lines(connection)
    assert [line.line for line in found] == [2, 3, 4]
    assert "install a newer edgedeploy" in found[1].reason
    assert len(find_series(connection)[0].points) == 2


def test_the_index_follows_files_that_git_rewrites(store: HistoryStore) -> None:
    (path,) = store.add([timed(1), timed(2)])
    before = path.read_bytes()
    store.add([timed(3)])
    assert query(store, "select count(*) from measurements")[1] == [(3,)]
    path.write_bytes(before)  # a checkout of an older commit
    assert query(store, "select count(*) from measurements")[1] == [(2,)]


def test_the_index_follows_a_line_that_was_edited_and_kept_its_length(store: HistoryStore) -> None:
    (path,) = store.add([timed(seed) for seed in range(7)])
    assert query(store, "select count(*) from measurements where model = 'net'")[1] == [(7,)]
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b'"model":"net"', b'"model":"ten"')
    path.write_bytes(b"".join(lines))
    os.utime(path, (2 * 10**9, 2 * 10**9))  # a clock may be coarse
    assert query(store, "select count(*) from measurements where model = 'net'")[1] == [(6,)]


def test_a_row_of_two_files_is_there_until_both_are_gone(store: HistoryStore) -> None:
    (path,) = store.add([timed(1), timed(2)])
    copy = path.with_name(f"z-{path.name}")
    copy.write_bytes(path.read_bytes())
    assert query(store, "select count(*) from measurements")[1] == [(2,)]
    path.unlink()
    assert query(store, "select count(*) from measurements")[1] == [(2,)]


def test_figures_of_another_version_have_an_index_of_their_own(
    store: HistoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two versions of edgedeploy may be used on one store."""
    older = index.index_path(store)
    monkeypatch.setattr(index, "FIGURES_VERSION", FIGURES_VERSION + 1)
    assert index.index_path(store) != older


def test_an_index_that_cannot_be_written_is_made_in_memory(
    store: HistoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add([timed(0)])
    monkeypatch.setattr(index, "cache_folder", lambda kind: tmp_path / kind)
    open_index(store).close()
    (path,) = (tmp_path / "history").glob("*.sqlite")
    path.unlink()
    path.mkdir()
    assert query(store, "select count(*) from measurements")[1] == [(1,)]


def test_a_query_cannot_change_anything_and_its_error_names_the_columns(store: HistoryStore) -> None:
    store.add([timed(1)])
    elsewhere = f"attach database '{store.folder / 'other.db'}' as other"
    for sql in (
        "delete from measurements",
        "select wrong from measurements",
        elsewhere,
        "pragma user_version = 3",
        "",
        "-- nothing",
    ):
        with pytest.raises(UsageError, match="the query failed") as error:
            query(store, sql)
        assert "median_ns" in str(error.value)
    assert not (store.folder / "other.db").exists()
    with pytest.raises(ResultsInvalid, match="there is no history"):
        HistoryStore(store.folder / "none").files()


def test_a_query_without_end_is_stopped(store: HistoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "QUERY_LIMIT_S", 0.1)
    store.add([timed(1)])
    endless = "with recursive c(x) as (select 1 union all select x + 1 from c) select count(*) from c"
    with pytest.raises(UsageError, match="took more than"):
        query(store, endless)


def _write_until_killed(folder: Path, worker: int, acknowledged: Path) -> None:
    store = HistoryStore(folder)
    with acknowledged.open("a") as log:
        for number in range(10_000):
            made = measurement(model=f"w{worker}", threads=number + 1, started_at=str(os.getpid()))
            store.add([made])
            print(make_record(made, "", "").id, file=log, flush=True)


def test_eight_writers_that_are_killed_again_and_again_lose_nothing(store: HistoryStore, tmp_path: Path) -> None:
    """50 kills; every row whose `add` returned is there afterwards."""
    context = multiprocessing.get_context("fork")
    log, rng = tmp_path / "acknowledged", random.Random(0)

    def start(worker: int) -> multiprocessing.process.BaseProcess:
        process = context.Process(target=_write_until_killed, args=(store.folder, worker, log), daemon=True)
        process.start()
        return process

    running = [start(worker) for worker in range(8)]
    for kill in range(50):
        time.sleep(0.02)
        victim = rng.randrange(8)
        os.kill(running[victim].pid or 0, signal.SIGKILL)
        running[victim].join()
        running[victim] = start(8 + kill)
    for process in running:
        process.kill()
        process.join()
    acknowledged = {line for line in log.read_text().splitlines() if len(line) == 16}
    assert len(acknowledged) > 100
    assert acknowledged <= set(ids(store))


def test_appending_takes_the_same_time_however_long_the_file_is(store: HistoryStore) -> None:
    """It reads one byte: what is written is all that is transferred."""
    (path,) = store.add([timed(1)])
    with path.open("ab") as file:
        file.truncate(2**33)  # 8 GiB without using the disk
    store.add([timed(2)])
    assert path.stat().st_size < 2**33 + 2**16


def test_the_noise_of_a_row_is_learned_from_its_repeated_measurements(store: HistoryStore) -> None:
    rng = np.random.default_rng(0)
    for seed in range(30):
        store.add([timed(seed, 1 + rng.normal(0, 0.03), artifact_sha256="a")])
    without = replace(timed(50, artifact_sha256="a"), samples_ns=(), sample_launches=(), latency_ns=None)
    store.add([without])  # teaches nothing
    (both,) = noise_models(open_index(store), [timed(99)]).values()
    model = both.median
    assert both.p90.measurements == 30
    assert both.p90.session_sd == pytest.approx(0.03, abs=0.01)
    assert model.measurements == 30
    assert model.session_sd == pytest.approx(0.03, abs=0.01)
    assert model.launch_sd < 0.01
    for path in store.files():  # the same measurements again, under another name
        store.add([found.measurement for found in store.records(path) if isinstance(found, HistoryRecord)], "again")
    assert list(noise_models(open_index(store), [timed(99)]).values()) == [both]
