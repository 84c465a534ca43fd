"""Tables of the command bench. All rows of a column have one unit, so that they can be compared by eye."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from edgedeploy.core.device import hottest_c
from edgedeploy.core.measurement import InstructionCount, Measurement, Profile
from edgedeploy.core.results.comparison import identity_of

from .layout import PLAIN, Layout
from .text import mebibytes, milliseconds, new_table, percent_of_interval, render, sqnr_cell

TIME_COLUMNS = (">threads", ">min", ">median", ">±%", ">p90", ">p99", ">min Δ%", ">load", ">first", ">peak MiB")
COUNT_COLUMNS = (">instr M", ">× bound", ">load/store %", ">float MAC M", ">int8 dot M")
_Sided = tuple[Measurement, str]  # a row, and its side
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def render_measurements(rows: Sequence[Measurement], layout: Layout = PLAIN, *, sides: Sequence[str] = ()) -> str:
    """Times, or where instructions were counted those and no time at all; notes are footnotes. A table for each device.

    `sides`: for each row "base" or "head" of two that were measured in turns, else "".
    """
    groups: dict[tuple[str, bool], list[_Sided]] = {}
    for row, side in zip(rows, sides or [""] * len(rows), strict=True):
        groups.setdefault((identity_of(row.device), row.instructions is not None), []).append((row, side))
    return "\n".join(_of_one_device(group, layout) for group in groups.values())


def _of_one_device(sided: Sequence[_Sided], layout: Layout) -> str:
    rows = [row for row, _ in sided]
    counted = rows[0].instructions is not None
    with_host = any(row.host_agreement for row in rows)
    columns = COUNT_COLUMNS if counted else TIME_COLUMNS
    table = new_table("model", "target", *columns, ">size MiB", ">SQNR dB", *((">vs host dB",) if with_host else ()))
    marks: dict[str, str] = {}
    for row, side in sided:
        notes = (*row.notes, *_doubts(row))
        for note in notes:
            marks.setdefault(note, str(len(marks) + 1).translate(SUPERSCRIPTS))
        table.add_row(
            row.model,
            row.target + "".join(marks[note] for note in notes) + (f" ({side})" if side else ""),
            *(_count_cells(row.instructions) if counted else _time_cells(row)),
            mebibytes(row.size_bytes),
            sqnr_cell(row.parity),
            *((sqnr_cell(row.host_agreement),) if with_host else ()),
        )
    title = _title_of_counts(rows[0]) if counted else _title_of_times(rows)
    return render(title, table, *(f"{mark} {note}" for note, mark in marks.items()), layout=layout)


def _title_of_times(rows: Sequence[Measurement]) -> str:
    device = rows[0].device
    counts = sorted({len(row.samples_ns) for row in rows})
    span = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    chip = f", {device.soc}" if device.soc else ""
    mask = "" if rows[0].cpu_mask is None else f", cores {rows[0].cpu_mask:x}"
    system = f"{device.abi}, {device.display_os}"
    return f"{device.display_name}{chip} ({system}){mask}{_temperatures(rows)}, {span} runs each; milliseconds"


def _temperatures(rows: Sequence[Measurement]) -> str:
    """The processor's temperature before the first row and after the last one, where the device reports it."""
    before, after = rows[0].state_before, rows[-1].state_after
    if before is None or after is None:
        return ""
    start, end = hottest_c(before), hottest_c(after)
    return "" if start is None or end is None else f", {start:.1f} -> {end:.1f} °C"


def _doubts(row: Measurement) -> list[str]:
    """Why the row is not trustworthy, and what to do. That an emulator's times mean nothing is a note already."""
    found = row.verdict.doubts if row.verdict else ()
    return [f"not trustworthy: {d.reason}; try: {d.advice}" for d in found if d.kind != "emulated"]


def _time_cells(row: Measurement) -> list[str]:
    times, sure = row.latency_ns, row.statistics
    if times is None or row.device.emulated:  # emulated time is never shown as latency
        latency, rest = [""] * 6, ["", ""]
    else:
        latency = [
            milliseconds(times.min),
            milliseconds(times.median),
            percent_of_interval(sure.median_interval_ns, times.median) if sure else "",
            milliseconds(times.p90),
            milliseconds(times.p99),
            f"{100 * sure.smallest_change:.1f}" if sure else "",
        ]
        rest = [milliseconds(row.load_ns, 1), milliseconds(row.first_inference_ns, 1)]
    peak = "" if row.peak_rss_bytes is None else mebibytes(row.peak_rss_bytes, 0)
    return [str(row.threads), *latency, *rest, peak]


def _title_of_counts(row: Measurement) -> str:
    return f"{row.device.display_name} ({row.device.abi}): executed instructions of one inference, on one thread"


def _count_cells(count: InstructionCount | None) -> list[str]:
    if count is None:
        return [""] * len(COUNT_COLUMNS)
    moved = count.by_class.get("load_store", 0) + count.by_class.get("simd_load_store", 0)
    return [
        f"{count.total / 1e6:.1f}",
        "" if count.ratio is None else f"{count.ratio:.2f}",
        f"{100 * moved / count.total:.0f}",
        f"{count.by_class.get('float_mac', 0) / 1e6:.1f}",
        f"{count.by_class.get('int8_dot', 0) / 1e6:.1f}",
    ]


def render_profiles(rows: Sequence[Measurement], layout: Layout = PLAIN, *, top: int = 10) -> str:
    """For each profiled row the `top` types of operators, the most expensive first, and their calls in one inference."""
    parts: list[Table | str] = []
    for row in rows:
        if row.profile is None:
            continue
        heading = f"\n{row.model} {row.target}, {row.threads} thread{'s' if row.threads > 1 else ''}"
        if row.profile.not_available:
            parts.append(f"{heading}: no profile: {row.profile.not_available}")
            continue
        parts.append(f"{heading}: operators, the mean of {row.profile.runs} profiled inferences")
        parts.append(_profile_table(row.profile, top, timed=not row.device.emulated))
    return render(*parts, layout=layout)


def _profile_table(profile: Profile, top: int, *, timed: bool) -> Table:
    """`timed` is False on an emulated device: its time is never shown, nor as a share."""
    table = new_table("operator", ">calls", *((">share %",) if timed else ()))
    costs: dict[str, tuple[int, int]] = {}  # total_ns and calls by type
    for operator in profile.operators:
        total_ns, calls = costs.get(operator.type, (0, 0))
        costs[operator.type] = (total_ns + operator.total_ns, calls + operator.calls)
    ordered = sorted(
        ((*cost, type_) for type_, cost in costs.items()), key=lambda cost: cost[0] if timed else cost[1], reverse=True
    )
    shown, others = ordered[:top], ordered[top:]
    if others:
        name = f"{len(others)} other type{'s' if len(others) > 1 else ''}"
        shown.append((sum(cost[0] for cost in others), sum(cost[1] for cost in others), name))
    whole_ns = sum(cost[0] for cost in ordered)
    for total_ns, calls, type_ in shown:
        share = [f"{100 * total_ns / whole_ns:.1f}" if whole_ns else ""] if timed else []
        table.add_row(type_, f"{calls / profile.runs:g}", *share)
    return table
