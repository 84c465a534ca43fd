"""Tables for people. One unit for a whole column, so that rows can be compared by eye; numbers to the right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgedeploy.core.measurement import Measurement, Profile
from edgedeploy.core.parity import Parity

METRICS = {"top1": "", "miou": " mIoU", "miou_single_scale": " mIoU"}
TASKS = {"classification": "class", "segmentation": "segm"}


def models(rows: Sequence[dict[str, Any]]) -> None:
    """The zoo: one line a variant in 120 columns, all that is known where only one was asked for."""
    console = _console()
    if len(rows) == 1:
        _one_model(console, rows[0])
        return
    table = _table(
        "model", "task", ">input", ">params M", ">MMACs", ">top-1 %", ">ms", "published on", "weights", ">exports"
    )  # fmt: skip
    for row in rows:
        accuracy, latency = row["accuracy"], row["latency"]
        table.add_row(
            row["name"],
            TASKS.get(row["task"], row["task"]),
            _side(row["input"]),
            f"{row['parameters'] / 1e6:.2f}",
            f"{row['macs'] / 1e6:,.0f}" if row["macs"] else "",
            f"{accuracy['value']:.1f}{METRICS.get(accuracy['metric'], '')}" if accuracy else "",
            f"{latency['latency_ms']:g}" if latency else "",
            _cut(latency["device"], 19) if latency else "",
            _cut(row["licence_weights"], 14),
            str(len(row["exported"]) or ""),
        )
    console.print(table)
    console.print(
        "\nAccuracy and time are what others published, not measured here; `edgedeploy models NAME` has all of it, "
        "`edgedeploy weights NAME` where the weights are.",
        soft_wrap=True,
    )
    exports([made for row in rows for made in row["exported"]])


def _one_model(console: Console, row: dict[str, Any]) -> None:
    facts = _table("", "")
    facts.show_header = False
    facts.columns[1].no_wrap, facts.columns[1].overflow = False, "fold"
    macs = f", {row['macs'] / 1e6:,.0f} M multiply-accumulates" if row["macs"] else ""
    shown = {
        "model": f"{row['name']} ({row['family']}, {row['task']}, {row['classes']} classes)",
        "input": f"{'x'.join(map(str, row['input']))}; sides are multiples of {row['size_multiple']}",
        "size": f"{row['parameters']:,} parameters{macs}",
        "paper": row["paper"],
        "code": row["repository"],
        "our reading": row["reading"],
        "weights": row["weights_address"],
        "licence": row["licence_weights"],
    }
    for name, value in shown.items():
        if value:
            facts.add_row(name, str(value))
    console.print(facts)
    published(row["published"])
    exports(row["exported"])


def published(records: Sequence[dict[str, Any]]) -> None:
    """What others published about one variant."""
    if not records:
        return
    table = _table(">accuracy", "of", ">ms", "on", ">input", "source")
    for name in ("on", "source"):
        column = next(c for c in table.columns if c.header == name)
        column.no_wrap, column.overflow = False, "fold"
    for record in records:
        value = f"{record['value']:g}" if "value" in record else ""
        of = f"{record.get('dataset', '')} {record.get('metric', '')}".strip()
        source = record["source"] + (f" ({record['note']})" if record.get("note") else "")
        time = f"{record['latency_ms']:g}" if "latency_ms" in record else ""
        table.add_row(value, of if value else "", time, record.get("device", ""), str(record.get("input", "")), source)
    console = _console()
    console.print("\nPublished by others:")
    console.print(table)


def exports(rows: Sequence[dict[str, Any]]) -> None:
    """What lies below ./artifacts."""
    if not rows:
        return
    table = _table("model", "target", ">SQNR dB", ">largest error σ", ">same label", "weights", "exported at")
    for row in rows:
        table.add_row(row["model"], row["target"], *_parity(row["parity"]), row["weights"], row["exported_at"][:16])
    console = _console()
    console.print("\nExported here:")
    console.print(table)


def weights(row: dict[str, Any]) -> None:
    """Where a variant's official weights are."""
    console = _console()
    facts = _table("", "")
    facts.show_header = False
    facts.columns[1].no_wrap, facts.columns[1].overflow = False, "fold"
    for name in (
        "model",
        "title",
        "paper",
        "repository",
        "address",
        "how",
        "licence_weights",
        "licence_code",
        "reading",
    ):
        if row[name]:
            facts.add_row(name.replace("_", " of "), str(row[name]))
    facts.add_row("made for", f"{'x'.join(map(str, row['input_shape']))}, {row['num_classes']} classes")
    console.print(facts)
    published(row["published"])


def _side(shape: Sequence[int]) -> str:
    height, width = shape[2:]
    return str(height) if height == width else f"{height}x{width}"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1].rstrip(' ,(')}…"


def targets(rows: Sequence[dict[str, Any]]) -> None:
    """The targets."""
    table = _table("target", "file", "runtime", "recipe", "required parity")
    for row in rows:
        table.add_row(row["name"], row["file"], row["runtime"], row["recipe"], row["floor"])
    _print(table)


def artifacts(rows: Sequence[dict[str, Any]]) -> None:
    """What an export made."""
    table = _table("artifact", ">size MiB", ">SQNR dB", ">largest error σ", ">same label", "weights")
    for row in rows:
        worst = min(row["parity"], key=lambda p: p["sqnr_db"] if p["sqnr_db"] is not None else math.inf)
        table.add_row(
            row["artifact"],
            f"{row['size_bytes'] / 2**20:.2f}",
            *_parity(worst),
            row["made_by"]["weights"]["kind"],
        )
    _print(table)


def parities(rows: Sequence[dict[str, Any]]) -> None:
    """What a verification found; on a device also how near its outputs are to this machine's."""
    agreed = any(row.get("host_agreement") for row in rows)
    columns = ("artifact", ">output", ">SQNR dB", ">largest error σ", ">same label")
    table = _table(*columns, *((">as host dB",) if agreed else ()))
    for row in rows:
        host = row.get("host_agreement")
        table.add_row(
            row["artifact"],
            str(row["output"]),
            *_parity(row),
            *((_sqnr(Parity.from_json(host)) if host else "",) if agreed else ()),
        )
    _print(table)


def measurements(rows: Sequence[Measurement]) -> None:
    """What a benchmark measured: times, or where instructions were counted those and no time at all."""
    counted = rows[0].instructions is not None
    title = _title_of_counts(rows[0]) if counted else _title_of_times(rows)
    agreed = any(row.host_agreement for row in rows)
    figures = COUNT_COLUMNS if counted else TIME_COLUMNS
    table = _table("model", "target", *figures, ">size MiB", ">SQNR dB", *((">as host dB",) if agreed else ()))
    footnotes: dict[str, str] = {}
    for row in rows:
        marks = "".join(_mark(note, footnotes) for note in row.notes)
        table.add_row(
            row.model,
            row.target + marks,
            *(_count_cells(row) if counted else _time_cells(row)),
            f"{row.size_bytes / 2**20:.2f}",
            _sqnr(row.parity),
            *((_sqnr(row.host_agreement),) if agreed else ()),
        )
    console = _console()
    console.print(title)
    console.print(table)
    for note, mark in footnotes.items():
        console.print(f"{mark} {note}")


TIME_COLUMNS = (">threads", ">min", ">median", ">p90", ">p99", ">load", ">first", ">peak MiB")
COUNT_COLUMNS = (">instr M", ">× bound", ">load/store %", ">float MAC M", ">int8 dot M")


def _title_of_times(rows: Sequence[Measurement]) -> str:
    device = rows[0].device
    counts = sorted({len(row.samples_ns) for row in rows})
    span = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    chip = f", {device.soc}" if device.soc else ""
    mask = "" if rows[0].cpu_mask is None else f", cores {rows[0].cpu_mask:x}"
    return f"{device.model}{chip} ({device.abi}, {device.os}){mask}{_heat(rows)}, {span} runs each; milliseconds"


def _heat(rows: Sequence[Measurement]) -> str:
    """From which temperature to which the rows went, where the device tells."""
    from edgedeploy.benchmarks.conditions.session import hottest_c
    from edgedeploy.benchmarks.devices.base import DeviceState

    before, after = rows[0].state_before, rows[-1].state_after
    if not before or not after:
        return ""
    start, end = hottest_c(DeviceState(**before)), hottest_c(DeviceState(**after))
    return "" if start is None or end is None else f", {start:.1f} -> {end:.1f} °C"


def _time_cells(row: Measurement) -> list[str]:
    times = row.latency_ns
    hidden = row.device.emulated  # emulated time is never shown as latency
    quantiles = (None,) * 4 if times is None or hidden else (times.min, times.median, times.p90, times.p99)
    return [
        str(row.threads),
        *("" if ns is None else f"{ns / 1e6:.2f}" for ns in quantiles),
        *("" if ns is None or hidden else f"{ns / 1e6:.1f}" for ns in (row.load_ns, row.first_inference_ns)),
        "" if row.peak_rss_bytes is None else f"{row.peak_rss_bytes / 2**20:.0f}",
    ]


def _title_of_counts(row: Measurement) -> str:
    return f"{row.device.model} ({row.device.abi}): executed instructions of one inference, on one thread"


def _count_cells(row: Measurement) -> list[str]:
    record = row.instructions or {}
    total, classes = record["total"], record["by_class"]
    moved = classes.get("load_store", 0) + classes.get("simd_load_store", 0)
    return [
        f"{total / 1e6:.1f}",
        "" if record["ratio"] is None else f"{record['ratio']:.2f}",
        f"{100 * moved / total:.0f}",
        f"{classes.get('float_mac', 0) / 1e6:.1f}",
        f"{classes.get('int8_dot', 0) / 1e6:.1f}",
    ]


SHOWN_OPERATORS = 10  # the JSON has them all


def profiles(rows: Sequence[Measurement]) -> None:
    """For each profiled row the kinds of operators, the most expensive first, and what one inference calls of them."""
    console = _console()
    for row in rows:
        if row.profile is None:
            continue
        heading = f"\n{row.model} {row.target}, {row.threads} thread{'s' if row.threads > 1 else ''}"
        if row.profile.not_available:
            console.print(f"{heading}: no profile: {row.profile.not_available}", soft_wrap=True)
            continue
        console.print(f"{heading}: operators, the mean of {row.profile.runs} profiled inferences")
        console.print(_profile_table(row.profile, timed=not row.device.emulated))


def _profile_table(profile: Profile, *, timed: bool) -> Table:
    """`timed` is False on an emulated device: its time is never shown, nor as a share."""
    table = _table("operator", ">calls", *((">share %",) if timed else ()))
    kinds: dict[str, tuple[int, int]] = {}
    for operator in profile.operators:
        time, calls = kinds.get(operator.type, (0, 0))
        kinds[operator.type] = (time + operator.total_ns, calls + operator.calls)
    costs = sorted(((*cost, kind) for kind, cost in kinds.items()), key=lambda c: c[0] if timed else c[1], reverse=True)
    first, others = costs[:SHOWN_OPERATORS], costs[SHOWN_OPERATORS:]
    if others:
        first.append((sum(o[0] for o in others), sum(o[1] for o in others), f"{len(others)} other kinds"))
    whole = sum(cost[0] for cost in costs)
    for time, calls, kind in first:
        share = [f"{100 * time / whole:.1f}" if whole else ""] if timed else []
        table.add_row(kind, f"{calls / profile.runs:g}", *share)
    return table


def _sqnr(parity: Parity | None) -> str:
    if parity is None:
        return ""
    return f"{parity.label_agreement:.2%}" if parity.labels else _parity(parity.to_json())[0]


def devices(rows: Sequence[dict[str, Any]]) -> None:
    """What `--device` takes."""
    table = _table("device", "what", "state", "also called")
    for row in rows:
        table.add_row(row["device"], row["what"], row["state"], ", ".join(row["aliases"]))
    _print(table)


def bundles(rows: Sequence[dict[str, Any]]) -> None:
    """The runners that are built."""
    table = _table("runtime", "version", "abi", ">size MiB", "folder")
    for row in rows:
        table.add_row(row["runtime"], row["version"], row["abi"], f"{row['size_bytes'] / 2**20:.1f}", row["folder"])
    _print(table)


def findings(rows: Sequence[dict[str, Any]]) -> None:
    """What the doctor found."""
    signs = {True: "ok", False: "bad", None: "-"}
    table = _table("", "what", "found", "what to do")
    for row in rows:
        table.add_row(signs[row["ok"]], row["name"], row["value"], row["hint"])
    _print(table)


def _parity(record: dict[str, Any]) -> tuple[str, str, str]:
    """SQNR, largest error and label agreement as cells; labels have no SQNR, equal outputs an infinite one."""
    agreement = "" if record["label_agreement"] is None else f"{record['label_agreement']:.2%}"
    if record["labels"]:
        return "", "", agreement
    sqnr = "equal" if record["sqnr_db"] is None else f"{record['sqnr_db']:.1f}"
    return sqnr, f"{record['relative_error']:.1g}", agreement


def _mark(note: str, footnotes: dict[str, str]) -> str:
    signs = "¹²³⁴⁵⁶⁷⁸⁹"
    return footnotes.setdefault(note, signs[min(len(footnotes), len(signs) - 1)])


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left", no_wrap=True)
    return table


def _console() -> Console:
    """Pipes and files get whole lines, however narrow the terminal."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=200)
    return console


def _print(table: Table) -> None:
    _console().print(table if table.row_count else Text("nothing to show"))
