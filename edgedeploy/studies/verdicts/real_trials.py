"""Comparisons of real measurements on this machine: of an artifact with itself, and with a slower one.

Each trial is a line of a file as soon as it is done, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import edgedeploy
from edgedeploy.core.measurement import Measurement
from edgedeploy.core.storage.json_records import decode, encode_line
from edgedeploy.pipeline.measuring.interleaved import bench_interleaved


@dataclass(frozen=True)
class Trial:
    """One comparison.

    Attributes:
        base, head: the artifacts' folders.
        method: "interleaved": `bench --interleave`; "separate": `bench` twice, then `compare`.
        verdict: "slower", "faster", "same", "not trustworthy" or "unknown".
        change: relative, of the figure with the smaller p-value.
        p_values: of "p10" and "median", or of "median" alone.
        canary_spread: of the canary's medians; None without one.
    """

    number: int
    base: str
    head: str
    method: str
    verdict: str
    change: float
    p_values: tuple[float, ...]
    canary_spread: float | None = None


def run_trials(base: Path, head: Path, method: str, count: int, output: Path, *, first: int = 0) -> Iterator[Trial]:
    """The trials of the file that are of this kind, then new ones until there are `count`.

    Args:
        first: the number of the first one, from which its order of launches is drawn; for trials beside those of another
            file.
    """
    done = [
        trial
        for trial in read_trials(output)
        if (trial.base, trial.head, trial.method) == (str(base), str(head), method)
    ]
    yield from done
    for number in range(first + len(done), first + count):
        trial = _interleaved(base, head, number) if method == "interleaved" else _separate(base, head, number)
        with output.open("a") as file:
            file.write(encode_line(trial) + "\n")
        yield trial


def read_trials(path: Path) -> list[Trial]:
    """The trials of a file; none where there is no file."""
    return [decode(line, Trial) for line in path.read_bytes().splitlines() if line] if path.exists() else []


def _interleaved(base: Path, head: Path, number: int) -> Trial:
    pair = bench_interleaved([base, head], seed=number)[0]
    clearest = min(pair.figures, key=lambda figure: figure.p_value)
    p_values = tuple(figure.p_value for figure in pair.figures)
    return Trial(
        number, str(base), str(head), "interleaved", pair.verdict, clearest.change, p_values, pair.canary.spread
    )


def _separate(base: Path, head: Path, number: int) -> Trial:
    first, second = ([_renamed(edgedeploy.bench([artifact])[0])] for artifact in (base, head))
    row = edgedeploy.compare(first, second).rows[0]
    doubted = row.verdict == "unknown" and row.reason.startswith("not trustworthy")
    assert row.difference is not None, "both rows have samples"
    return Trial(
        number,
        str(base),
        str(head),
        "separate",
        "not trustworthy" if doubted else row.verdict,
        row.difference.change,
        (row.difference.p_value,),
    )


def _renamed(row: Measurement) -> Measurement:
    """One name for both, so that they are one row."""
    return replace(row, model="trial", target="trial")


def summary(trials: Sequence[Trial]) -> str:
    """How many there are of each verdict."""
    counts = Counter(trial.verdict for trial in trials)
    return f"{len(trials)} trials: {', '.join(f'{count} {verdict}' for verdict, count in counts.most_common())}"
