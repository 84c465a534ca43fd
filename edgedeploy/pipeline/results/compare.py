"""compare: two sets of measurements in, a Comparison out. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from edgedeploy.core.errors import NotTrustworthy, Regression, UsageError
from edgedeploy.core.measurement import Measurement, ResultFile
from edgedeploy.core.results.comparison import Comparison, RowKey, counted
from edgedeploy.core.results.result_files import read_results

from .history import STORE, results_of_revision

if TYPE_CHECKING:
    from edgedeploy.benchmarks.statistics.noise import RowNoise

Results = str | Path | ResultFile | Sequence[Measurement]


class CompareKeywords(TypedDict, total=False):
    """Fields of benchmarks.comparison.ComparisonOptions as keyword arguments."""

    metric: str | None
    false_alarm_rate: float
    margin: float
    force: bool


def compare(
    base: Results,
    head: Results,
    *,
    store: str | Path = STORE,
    names: tuple[str, str] = ("base", "head"),
    **options: Unpack[CompareKeywords],
) -> Comparison:
    """Compares measurements row by row.

    Args:
        base, head: result files, folders of them, revisions of the history, or measurements.
        names: of base and head, where they are not files.
        store: the history. Where there is one, the noise of each row is learned from it.
        options: metric, false_alarm_rate, margin, force; gates and budgets are read from edgedeploy.toml.

    Raises UsageError, ResultsInvalid, ContextsDiffer. A regression is in the result: see `check_comparison`.
    """
    from edgedeploy.benchmarks.comparison import ComparisonOptions, compare_measurements
    from edgedeploy.benchmarks.comparison.settings import read_settings

    chosen = ComparisonOptions(**options)
    _check(chosen.metric, chosen.false_alarm_rate, chosen.margin)
    settings = read_settings()
    chosen = replace(chosen, gates=settings.gates, budgets=settings.budgets)
    old, new = load_results(base, store), load_results(head, store)
    chosen = replace(chosen, noise=_noise(new.measurements, Path(store)))
    shown = [
        str(results) if isinstance(results, str | Path) else name
        for results, name in zip((base, head), names, strict=True)
    ]
    found = compare_measurements(old.measurements, new.measurements, chosen, (shown[0], shown[1]))
    return replace(found, versions=_version_changes(old.tool.versions, new.tool.versions))


def check_comparison(found: Comparison, *, require_trust: bool = False) -> None:
    """Raises Regression where something became worse.

    With `require_trust` raises NotTrustworthy where a row is unknown or missing, where a budget's figure was not measured
    on a row that it is about, and where no budget is about anything that was measured. A budget of another device or of
    figures that this run did not measure is no error: one edgedeploy.toml serves several runs.
    """
    regressions = list(found.regressions())
    if regressions:
        raise Regression(counted(len(regressions), "regression"), details=regressions)
    unknown = [f"{row.key}: {row.reason}" for row in found.rows if row.verdict == "unknown"]
    unknown += [f"{row}: not in {found.head}" for row in found.only_in_base]
    if not require_trust:
        return
    not_judged = [f"budget {budget.metric}: {budget.text}" for budget in found.budgets if not budget.judged]
    counts = ((unknown, "row", "compared"), (not_judged, "budget", "judged"))
    if unknown or not_judged:
        message = ", ".join(f"{counted(len(lines), noun)} could not be {what}" for lines, noun, what in counts if lines)
        raise NotTrustworthy(message, details=[*unknown, *not_judged])
    astray = found.idle_budgets and not any(budget.artifact_measured for budget in found.idle_budgets)
    if astray and not found.budgets:
        raise NotTrustworthy(
            f"no budget of edgedeploy.toml is about what was measured in {found.head}",
            details=[f"{budget.budget}: {budget.reason}" for budget in found.idle_budgets],
            hint='write the model and the target as `edgedeploy bench` has them: "MODEL/TARGET" = "p90 <= 35 ms"',
        )


def _check(metric: str | None, false_alarm_rate: float, margin: float) -> None:
    if metric not in (None, "median", "p90"):
        raise UsageError(f"--metric is median or p90, not '{metric}'")
    if not 0 < false_alarm_rate < 0.5:
        raise UsageError("the false-alarm rate must be between 0 and 0.5", hint="--false-alarm-rate 0.005")
    if not 0 < margin < 1:
        raise UsageError("the margin must be between 0 and 100 percent", hint="--margin 5")


def load_results(results: Results, store: str | Path = STORE) -> ResultFile:
    """The measurements in a file, a folder, or a revision of the history. Raises ResultsInvalid, UnknownName."""
    if isinstance(results, ResultFile):
        return results
    if not isinstance(results, str | Path):
        return ResultFile.of(results)
    if not Path(results).exists() and Path(store).is_dir() and not str(results).endswith(".json"):
        return results_of_revision(str(results), store)
    return read_results(Path(results))


def _noise(rows: Sequence[Measurement], store: Path) -> Mapping[RowKey, RowNoise]:
    from edgedeploy.benchmarks.history import HistoryStore
    from edgedeploy.benchmarks.history.index import open_index
    from edgedeploy.benchmarks.history.series import noise_models

    if not store.is_dir():
        return {}
    connection = open_index(HistoryStore(store))
    try:
        return noise_models(connection, rows)
    finally:
        connection.close()


def _version_changes(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    return {
        name: f"{old.get(name, 'none')} -> {new.get(name, 'none')}"
        for name in sorted({**old, **new})
        if old.get(name) != new.get(name)
    }
