"""What other dashboards read: github-action-benchmark, Bencher, Apache Otava."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from edgedeploy.core.measurement import Measurement
from edgedeploy.core.results.report import Report

from .figures import figure, interval, row_on_device


def render_github_action_benchmark(report: Report) -> str:
    """A list for the tool `customSmallerIsBetter` of github-action-benchmark: main figure in ms, or instructions."""
    entries: list[dict[str, Any]] = []
    for row in report.rows:
        value = figure(row)
        if value is None:
            continue
        found, pair = interval(row), report.pair_of(row)
        entry: dict[str, Any] = {
            "name": row_on_device(report, row),
            "unit": "instructions" if row.instructions else "ms",
            "value": value if row.instructions else value / 1e6,
            "extra": f"{row.runtime} {row.runtime_version}; {pair.verdict if pair else row.verdict or 'counted'}",
        }
        if found is not None:
            entry["range"] = f"± {(found.high - found.low) / 2e6:.3g}"
        entries.append(entry)
    return json.dumps(entries, indent=2, ensure_ascii=False) + "\n"


def render_bencher(report: Report) -> str:
    """Bencher Metric Format: for each row its measures, by the names of Bencher's own where there are some."""
    metrics: dict[str, dict[str, dict[str, float]]] = {}
    for row in report.rows:
        metrics[row_on_device(report, row)] = _measures(row)
    return json.dumps(metrics, indent=2, ensure_ascii=False) + "\n"


def _measures(row: Measurement) -> dict[str, dict[str, float]]:
    measures: dict[str, dict[str, float]] = {"file-size": {"value": float(row.size_bytes)}}
    if row.instructions is not None:
        measures["instructions"] = {"value": float(row.instructions.total)}
    elif row.latency_ns is not None and not row.device.emulated:
        measures["latency"] = {"value": figure(row) or 0.0}
        found = interval(row)
        if found is not None:
            measures["latency"] |= {"lower_value": float(found.low), "upper_value": float(found.high)}
    return measures


def render_otava(report: Report) -> str:
    """CSV for Otava: `time`, `commit`, and one column for each row, oldest first; the history where there is one."""
    table: dict[tuple[str, str], dict[str, float]] = {}
    for series in report.series:
        for point in series.points:
            table.setdefault((point.started_at, point.revision), {})[f"{series.key} on {series.device}"] = point.value
    if not report.series:
        for row in report.rows:
            value = figure(row)
            if value is not None:
                table.setdefault((row.started_at, ""), {})[row_on_device(report, row)] = value
    names = list(dict.fromkeys(name for values in table.values() for name in values))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["time", "commit", *names])
    for (when, revision), values in sorted(table.items()):
        writer.writerow([when, revision, *(values.get(name, "") for name in names)])
    return text.getvalue()
