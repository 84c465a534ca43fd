"""A row's figures as text, the same in all formats."""

from __future__ import annotations

from edgedeploy.core.measurement import Measurement
from edgedeploy.core.results.comparison import metric_of
from edgedeploy.core.results.report import Report
from edgedeploy.core.results.verdict import Interval


def row_name(row: Measurement) -> str:
    """A row in one word, with its threads where there are several."""
    counted = " (Arm instructions)" if row.instructions else ""
    return f"{row.model}/{row.target}{f' ×{row.threads}' if row.threads > 1 else ''}{counted}"


def row_label(report: Report, row: Measurement) -> str:
    """The row's name, with its side where it was measured in turns, and its device where the report has several."""
    side, device = report.side_of(row), report.device_of(row)
    return f"{row_name(row)}{f' ({side})' if side else ''}{f' on {device}' if device else ''}"


def row_on_device(report: Report, row: Measurement) -> str:
    """The row's name and its device, for what keeps rows of several reports; of two in turns the base is marked, so that
    the head goes on with the course of its name.
    """
    side = " (base)" if report.side_of(row) == "base" else ""
    return f"{row_name(row)}{side} on {report.device_of(row) or row.device.display_name or row.device.name}"


def figure(row: Measurement) -> float | None:
    """The row's main figure: instructions, else the median in ns, of mlperf p90; None where there is none."""
    if row.instructions is not None:
        return float(row.instructions.total)
    if row.latency_ns is None or row.device.emulated:
        return None
    return float(row.latency_ns.p90 if metric_of(row.protocol) == "p90" else row.latency_ns.median)


def interval(row: Measurement) -> Interval | None:
    """The 95 % interval of the main figure in ns; None where there is none."""
    sure = row.statistics
    if sure is None or row.instructions is not None:
        return None
    return sure.p90_interval_ns if metric_of(row.protocol) == "p90" else sure.median_interval_ns


def figure_text(row: Measurement) -> str:
    """The main figure with its unit."""
    value = figure(row)
    if value is None:
        return "not measured"
    if row.instructions:
        return f"{value / 1e6:.3f} M instructions"
    return f"{value / 1e6:.2f} ms{' (p90)' if metric_of(row.protocol) == 'p90' else ''}"


def interval_text(row: Measurement) -> str:
    """The 95 % interval of the main figure in ms; "" where there is none."""
    found = interval(row)
    return "" if found is None else f"{found.low / 1e6:.2f} to {found.high / 1e6:.2f}"


def verdict_text(report: Report, row: Measurement) -> str:
    """The row's verdict, with its reason; of two in turns, which are judged together, that of the head."""
    pair = report.pair_of(row)
    if pair is not None:
        return f"{pair.verdict} {pair.figure('median').change:+.2%}" if report.side_of(row) == "head" else ""
    compared = report.compared(row)
    if compared is not None:
        change = f" {compared.difference.change:+.2%}" if compared.difference else ""
        failed = "; ".join(f"{gate.metric} {gate.text}" for gate in compared.gates if not gate.passed)
        forced = "unlike conditions" if compared.context else ""
        parts = [f"{compared.verdict}{change}", forced, compared.reason, failed]
        return "; ".join(part for part in parts if part)
    return str(row.verdict) if row.verdict else ""


def rate_text(report: Report) -> str:
    """How often equal artifacts are called slower or faster; "" where nothing was compared."""
    rates = [report.comparison.false_alarm_rate] if report.comparison else []
    rates += [pair.false_alarm_rate for pair in report.pairs]
    return f"Of {1 / max(rates):.0f} comparisons of equal artifacts 1 has a false alarm" if rates else ""


def sqnr_text(row: Measurement) -> str:
    """The parity in dB."""
    if row.parity is None or row.parity.labels:
        return ""
    return "equal" if row.parity.sqnr_db is None else f"{row.parity.sqnr_db:.1f}"
