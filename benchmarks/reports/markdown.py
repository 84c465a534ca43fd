"""Markdown for a job summary or a comment: the outcome in the first line, the table folded."""

from __future__ import annotations

from collections.abc import Iterator

from edgedeploy.core.results.report import Report

from .figures import figure_text, interval_text, rate_text, row_label, sqnr_text, verdict_text

COLUMNS = ("row", "figure", "95 % interval, ms", "p90, ms", "MiB", "SQNR dB", "verdict")


def render_markdown(report: Report) -> str:
    """The report as GitHub's and GitLab's Markdown."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    failed = list(report.comparison.regressions()) if report.comparison else []
    yield f"**edgedeploy: {escape(report.headline)}**"
    yield from ["", *(f"- {escape(line)}" for line in failed)] if failed else ()
    for row in report.comparison.rows if report.comparison else ():
        if row.regressed:
            yield from (f"  - {escape(f'{row.key}: {cause}')}" for cause in row.causes)
    remarks = [f"- {escape(remark)}" for remark in report.remarks()]
    yield from ["", *remarks] if remarks else ()
    yield from ["", *(f"- {escape(pair.text)}" for pair in report.pairs)] if report.pairs else ()
    for pair in report.pairs:
        yield from (f"  - {escape(cause)}" for cause in pair.causes)
    yield from ("", "<details><summary>All rows</summary>", "")
    yield f"| {' | '.join(COLUMNS)} |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | --- |"
    for measured in report.rows:
        times = measured.latency_ns
        cells = (
            row_label(report, measured),
            figure_text(measured),
            interval_text(measured),
            f"{times.p90 / 1e6:.2f}" if times and not measured.device.emulated else "",
            f"{measured.size_bytes / 2**20:.2f}",
            sqnr_text(measured),
            verdict_text(report, measured),
        )
        yield f"| {' | '.join(escape(cell) for cell in cells)} |"
    yield ""
    yield from (f"- {escape(device)}" for device in devices(report))
    rate = rate_text(report)
    if rate:
        yield f"- {rate}; instructions are compared exactly."
    yield from ("", "</details>")


def devices(report: Report) -> list[str]:
    """Each device with its system, once."""
    found = {f"{row.device.display_name} ({row.device.abi}, {row.device.display_os})": None for row in report.rows}
    return [text.replace(", )", ")") for text in found]


def escape(text: str) -> str:
    """Text that Markdown shows as it is."""
    for character in "\\`*_[]<>|#~":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())
