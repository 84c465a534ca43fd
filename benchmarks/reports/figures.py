"""A row's figures as text, the same in all formats."""

from __future__ import annotations

from edgedeploy.core.measurement import Measurement
from edgedeploy.core.results.report import Report


def row_name(row: Measurement) -> str:
    """A row in one word, with its threads where there are several."""
    counted = " (Arm instructions)" if row.instructions else ""
    return f"{row.model}/{row.target}{f' ×{row.threads}' if row.threads > 1 else ''}{counted}"


def row_label(report: Report, row: Measurement) -> str:
    """The row's name, with its device where the report has several."""
    device = report.device_of(row)
    return f"{row_name(row)}{f' on {device}' if device else ''}"


def row_on_device(report: Report, row: Measurement) -> str:
    """The row's name and its device, for what keeps rows of several reports."""
    return f"{row_name(row)} on {report.device_of(row) or row.device.display_name or row.device.name}"


def figure(row: Measurement) -> float | None:
    """The row's main figure: instructions, else the median in ns; None where there is none."""
    if row.instructions is not None:
        return float(row.instructions.total)
    return float(row.latency_ns.median) if row.latency_ns and not row.device.emulated else None


def figure_text(row: Measurement) -> str:
    """The main figure with its unit."""
    value = figure(row)
    if value is None:
        return "not measured"
    return f"{value / 1e6:.3f} M instructions" if row.instructions else f"{value / 1e6:.2f} ms"


def interval_text(row: Measurement) -> str:
    """The 95 % interval of the median in ms; "" where there is none."""
    interval = row.statistics.median_interval_ns if row.statistics else None
    return "" if interval is None else f"{interval.low / 1e6:.2f} to {interval.high / 1e6:.2f}"


def verdict_text(report: Report, row: Measurement) -> str:
    """The row's verdict, with its reason."""
    compared = report.compared(row)
    if compared is not None:
        change = f" {compared.difference.change:+.2%}" if compared.difference else ""
        failed = "; ".join(f"{gate.metric} {gate.text}" for gate in compared.gates if not gate.passed)
        parts = [f"{compared.verdict}{change}", compared.reason, failed]
        return "; ".join(part for part in parts if part)
    return str(row.verdict) if row.verdict else ""


def sqnr_text(row: Measurement) -> str:
    """The parity in dB."""
    if row.parity is None or row.parity.labels:
        return ""
    return "equal" if row.parity.sqnr_db is None else f"{row.parity.sqnr_db:.1f}"
