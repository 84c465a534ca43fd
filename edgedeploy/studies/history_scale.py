"""How the history scales: python -m edgedeploy.studies.history_scale [--rows 100000]

Writes a store of simulated measurements of 400 rows on two devices, and times what people do with it: the first look, which
builds the index in SQLite, then a query, the list of all rows with their change points, a report, and appending one row; at
the end what a new clone pays, which has no index.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgedeploy.benchmarks.history import HistoryStore
from edgedeploy.benchmarks.history.index import index_path, open_index
from edgedeploy.core.measurement import ResultFile
from edgedeploy.core.storage.cache import cache_folder
from edgedeploy.pipeline.results.history import add_to_history, list_history, query_history
from edgedeploy.pipeline.results.report import make_report, render_report

from .verdicts.traces import DEVICE, QUIET, measure

ROWS_OF_A_REVISION = 400
QUERY = "select model, min(median_ns), avg(level), count(*) from measurements where threads = 1 group by model"


@dataclass(frozen=True)
class Timing:
    """What was done, and how long it took: by the clock, and of the processor, which other load does not change."""

    what: str
    seconds: float
    cpu_seconds: float

    def __str__(self) -> str:
        return f"| {self.what} | {self.seconds:.3f} | {self.cpu_seconds:.3f} |"


def timings(count: int, folder: Path) -> list[Timing]:
    """Fills a store in `folder` with `count` measurements, and times what is done with it."""
    store, results = folder / "history", folder / "head.json"
    measured = assess_one()
    results.write_text(ResultFile.of([measured]).to_json())
    found = [_timed("append a row to an empty store", lambda: add_to_history([results], store=store, revision="0"))]
    fill(HistoryStore(store), count)

    def report() -> object:
        return render_report(make_report([results], store=store), "html")

    return [
        *found,
        _timed(f"append a row to {count} rows", lambda: add_to_history([results], store=store, revision="1")),
        _timed("build the index", lambda: open_index(HistoryStore(store)).close()),
        _timed("query", lambda: query_history(QUERY, store=store)),
        _timed("list one model's rows", lambda: list_history("net7/", store=store)),
        _timed("list all rows with their change points", lambda: list_history(store=store)),
        _timed("report a result file, HTML", report),
        _timed("the index after one more row", lambda: _append_and_open(results, store)),
        _timed("query in a new clone", lambda: _new_clone(store, lambda: query_history(QUERY, store=store))),
        _timed("report in a new clone, HTML", lambda: _new_clone(store, report)),
    ]


def assess_one() -> Any:
    """A measurement as `bench` writes it."""
    from edgedeploy.benchmarks.statistics import assess

    return assess(replace(measure(np.random.default_rng(0), QUIET), model="net7", artifact_sha256="0" * 64))


def fill(store: HistoryStore, count: int) -> None:
    """Adds `count` measurements: 400 rows of each revision on two devices."""
    rng = np.random.default_rng(1)
    templates = [assess_one() for _ in range(4)]
    for revision in range(-(-count // ROWS_OF_A_REVISION)):
        rows = []
        for number in range(min(ROWS_OF_A_REVISION, count - revision * ROWS_OF_A_REVISION)):
            row = templates[number % 4]
            factor = float(np.exp(rng.normal(0, 0.005)))
            rows.append(
                replace(
                    row,
                    model=f"net{number // 8}",
                    threads=1 << number % 4,
                    device=replace(DEVICE, serial=f"device{number // 4 % 2}"),
                    started_at=f"2026-01-01T00:00:00+00:00 {revision:06}",
                    samples_ns=tuple(round(ns * factor) for ns in row.samples_ns),
                )
            )
        store.add(rows, f"{revision:040x}")


def _new_clone(store: Path, work: Callable[[], object]) -> None:
    """Does it as a machine does that has never seen the store: without its index."""
    index_path(HistoryStore(store)).unlink()
    work()


def _append_and_open(results: Path, store: Path) -> None:
    add_to_history([results], store=store, revision="2")
    open_index(HistoryStore(store)).close()


def _timed(what: str, work: Callable[[], object]) -> Timing:
    start, cpu_start = time.perf_counter(), time.process_time()
    work()
    return Timing(what, time.perf_counter() - start, time.process_time() - cpu_start)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    count = parser.parse_args().rows
    before = set(cache_folder("history").glob("*"))
    with tempfile.TemporaryDirectory() as folder:
        print(f"| with {count} measurements | s | of the processor |\n| --- | ---: | ---: |")
        for timing in timings(count, Path(folder)):
            print(timing, flush=True)
        size_bytes = sum(file.stat().st_size for file in (Path(folder) / "history").glob("*.jsonl"))
    for file in set(cache_folder("history").glob("*")) - before:  # the index of a store that is gone
        file.unlink()
    print(f"\nThe store has {size_bytes / 2**20:.0f} MiB.")


if __name__ == "__main__":
    main()
