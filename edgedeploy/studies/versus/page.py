"""benchmarks/RESULTS.md: the tables of the comparison, from the outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from edgedeploy.core.backends import BACKENDS as ALL_BACKENDS
from edgedeploy.studies.results import made_by

from .cells import BACKENDS, FORMATS, FORMS, FORMS_OF, NETWORKS, PROMISED, Cell, Outcome, Outcomes
from .summary import LIMITS, MINIMA, Table, instructions, is_plain, latency

PATHS = tuple(f"{side} {format}" for format in FORMATS for side in ("naive", "own"))
SIDES = ("naive", "own")
NOT_RUN = "·"  # a rewrite that applies and was not left out yet
INTRODUCTION = """\
# The naive path and this project, side by side

Written by `make versus`; the table of left-out rewrites by `make leave-one-out`. `benchmarks/versus.json` has every figure.

- **naive** is what the tools' own documentation says, with their defaults, on the bare eager network: `torch.onnx.export`
  (dynamo), `quant_pre_process` (where it fails after onnxsim, and then without symbolic shapes) and `quantize_static`
  (QDQ, per channel, int8 activations);
  `XNNPACKQuantizer` (static, per channel) and `XnnpackPartitioner`; `litert_torch.convert` and ai-edge-quantizer's
  `static_wi8_ai8` with its own calibration, which makes inputs and outputs int8.
- **own** is `edgedeploy export` with its defaults: inputs and outputs stay float, and LiteRT gets NHWC images. What that
  makes is shown under "The form of the naive path".
- Both start from the same seeded random weights and the same calibration images. Nothing here was measured on a phone.
- A naive int8 path that fails counts as naive fp32 in the means.\
"""
FORMS_TEXT = """\
What TopFormer costs on LiteRT by the naive path depends on the form that is chosen. int8 inputs and outputs, the recipe's
default, save a quantize and a dequantize. NHWC images (`to_channel_last_io`) save the transpose at the input. A matrix
product runs inside the delegate only if its second operand has zero point 0, which ranges as calibrated give only by
chance: with these weights no product has it. The figure of 131 M that was found first is all of it but int8 inputs and
outputs (channel-last, float-io, symmetric-products); 145 and 147 M are NCHW, ranges as calibrated, with int8 and with float
inputs and outputs. The comparison uses the tools' defaults: NCHW, int8 inputs and outputs, ranges as calibrated. For
ONNX Runtime the default is int8 activations, which are the cheaper ones on Arm.\
"""


def render(outcomes: Outcomes) -> str:
    """The whole page."""
    notes: dict[str, int] = {}
    table = Table(outcomes)
    blocks = [
        INTRODUCTION,
        *_promises(table),
        *_section(
            "Executed Arm instructions",
            "Millions for one inference on an emulated Cortex-A76, one thread; in brackets the ratio to the bound, "
            "MACs / 4 for fp32 and MACs / 16 for int8.",
            _figures(table, lambda o: f"{(o.instructions or 0) / 1e6:.1f} ({_over_bound(o)})", instructions, notes),
        ),
        *_section(
            "Wall time on this machine",
            "Milliseconds, one thread, median; the artifacts of a network take turns. Read the ratios: the machine is "
            "shared, and it is not a phone. Own artifacts are made for Arm: float ones for ONNX Runtime have convolutions "
            "in parts that cost time on x86, which `--tune-for x86` leaves whole.",
            _figures(table, lambda o: f"{o.latency_ns / 1e6:.2f}" if o.latency_ns else "", latency, notes),
        ),
        *_section("Size", "KiB of the file.", _columns(table, lambda o: f"{(o.size_bytes or 0) / 1024:.0f}", notes)),
        *_section(
            "Error",
            "SQNR in dB of the worst output against the eager float network, on held-out images; below 0 the error is "
            "larger than the signal. ai-edge-quantizer's own calibration averages ranges and clips what lies outside.",
            _columns(table, lambda o: "equal" if o.sqnr_db is None else f"{o.sqnr_db:.1f}", notes),
        ),
        *_forms(outcomes, notes),
        *_left_out(outcomes, notes),
    ]
    if notes:
        blocks += ["## What fails", "\n".join(f"- [{number}] {text}" for text, number in notes.items())]
    blocks += ["## What made the figures", _origins(outcomes)]
    return "\n\n".join(blocks) + "\n"


def _section(title: str, text: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", text, "\n".join(lines)] if lines else []


def _promises(table: Table) -> list[str]:
    titles = [ALL_BACKENDS[backend].title for backend in BACKENDS]
    lines = _header(["Arm instructions, geometric mean (at least)", *titles])
    for name, minima in MINIMA.items():
        lines.append(_row([name, *(_mean(table, backend, name, minima[backend]) for backend in BACKENDS)]))
    lines.append(_row(["wall time here, own int8 / own fp32", *(_wall(table, backend) for backend in BACKENDS)]))
    best = _header(["cheapest own int8 over MACs / 16", "ratio", "at most", "backend"])
    for model, limit in LIMITS.items():
        found = table.best_over_bound(model, BACKENDS)
        if found:
            best.append(_row([model, _bold(f"{found[0]:.2f}", found[0] <= limit), f"{limit:g}", found[1]]))
    return [
        "## What the project promises",
        f"Over {', '.join(PROMISED)}. Bold where it is kept; a number in brackets tells how many of the networks have both "
        "figures where it is not all.",
        "\n".join(lines),
        *(["\n".join(best)] if len(best) > 2 else []),
    ]


def _mean(table: Table, backend: str, name: str, minimum: float) -> str:
    mean, count = table.mean_ratio(backend, name, instructions)
    return f"{_bold(f'{mean:.2f}', mean >= minimum)}{_partly(count)} ({minimum:g})" if mean else f"({minimum:g})"


def _wall(table: Table, backend: str) -> str:
    mean, count = table.mean_ratio(backend, "own int8 / own fp32", latency)
    return f"{mean:.2f}{_partly(count)}" if mean else ""


def _partly(count: int) -> str:
    return "" if count == len(PROMISED) else f" [{count}]"


def _bold(text: str, kept: bool) -> str:
    return f"**{text}**" if kept else text


def _figures(
    table: Table, text: Callable[[Outcome], str], figure: Callable[[Outcome], float | None], notes: dict[str, int]
) -> list[str]:
    """The four paths of each network and backend, and the three ratios."""
    lines = _header(["network", "backend", *PATHS, *MINIMA])
    for model, backend in _rows(table):
        cells = [_cell(table.outcome_of(model, backend, path), text, notes) for path in PATHS]
        ratios = [table.ratio(model, backend, name, figure) for name in MINIMA]
        lines.append(_row([model, backend, *cells, *(f"{ratio:.2f}" if ratio else "" for ratio in ratios)]))
    return lines


def _columns(table: Table, text: Callable[[Outcome], str], notes: dict[str, int]) -> list[str]:
    lines = _header(["network", "backend", *PATHS])
    for model, backend in _rows(table):
        cells = [_cell(table.outcome_of(model, backend, path), text, notes) for path in PATHS]
        lines.append(_row([model, backend, *cells]))
    return lines


def _rows(table: Table) -> list[tuple[str, str]]:
    """The networks and backends of which anything is known, in order."""
    known = {(cell.model, cell.backend) for cell in table.outcomes if is_plain(cell)}
    return [(model, backend) for model in NETWORKS for backend in BACKENDS if (model, backend) in known]


def _cell(outcome: Outcome | None, text: Callable[[Outcome], str], notes: dict[str, int]) -> str:
    """One cell; a failure gets a number in `notes`."""
    if outcome is None:
        return ""
    if outcome.error:
        return f"fails [{notes.setdefault(outcome.error, len(notes) + 1)}]"
    return text(outcome)


def _over_bound(outcome: Outcome) -> str:
    return f"{outcome.instructions / outcome.bound:.1f}" if outcome.instructions and outcome.bound else "?"


def _forms(outcomes: Outcomes, notes: dict[str, int]) -> list[str]:
    """Other forms of the naive path, each below the default of its target."""
    lines = _header([f"{FORMS_OF}, naive", "form", "Arm instructions (M)", "SQNR dB"])
    for target in FORMS:
        for cell, outcome in outcomes.items():
            if (cell.model, cell.target, cell.side) == (FORMS_OF, target, "naive"):
                form = cell.form.replace("+", ", ") or "default"
                lines.append(_row([target, form, _cell(outcome, _millions, notes), _cell(outcome, _sqnr, notes)]))
    return ["## The form of the naive path", FORMS_TEXT, "\n".join(lines)] if len(lines) > 2 else []


def _millions(outcome: Outcome) -> str:
    return f"{(outcome.instructions or 0) / 1e6:.1f}"


def _sqnr(outcome: Outcome) -> str:
    return "equal" if outcome.sqnr_db is None else f"{outcome.sqnr_db:.1f}"


def _left_out(outcomes: Outcomes, notes: dict[str, int]) -> list[str]:
    """Instructions without a rewrite over those with it: one row for each rewrite and network."""
    by_name = {str(cell): outcome for cell, outcome in outcomes.items()}
    targets = [f"{backend}-{format}" for backend in BACKENDS for format in FORMATS]
    found: dict[tuple[str, str], dict[str, str]] = {}
    for cell, outcome in outcomes.items():
        if cell.without:
            found.setdefault((cell.without, cell.model), {})[cell.target] = _cell(outcome, _gain, notes)
    lines = _header(["rewrite", "network", *targets])
    for rewrite, model in sorted(found, key=lambda key: (key[0], NETWORKS.index(key[1]))):
        row = found[rewrite, model]
        wholes = [by_name.get(f"{model}/{target}/own") for target in targets]
        applied = [whole is not None and rewrite in whole.rewrites for whole in wholes]
        gains = [
            row.get(target, NOT_RUN if of_target else "") for target, of_target in zip(targets, applied, strict=True)
        ]
        lines.append(_row([rewrite, model, *gains]))
    text = (
        "Arm instructions without the rewrite over those with it, everything else in place and both of the same commit: "
        f"above 1 it pays. Empty where it does not apply, {NOT_RUN} where it was not measured. One that only makes a later "
        "one possible shows the gain of both."
    )
    return _section("What each rewrite gains", text, lines if found else [])


def _gain(outcome: Outcome) -> str:
    whole = outcome.with_rewrite
    return f"{outcome.instructions / whole:.3f}" if outcome.instructions and whole else NOT_RUN


def _origins(outcomes: Outcomes) -> str:
    """The commits of each network's cells, and the machine and versions of each commit."""
    lines = _header(["network", *SIDES, "without a rewrite"])
    for model in NETWORKS:
        cells = {cell: outcome for cell, outcome in outcomes.items() if cell.model == model}
        kinds: list[Callable[[Cell], bool]] = [
            lambda cell: cell.side == "naive",
            lambda cell: cell.side == "own" and not cell.without,
            lambda cell: bool(cell.without),
        ]
        commits = [_commits(outcome for cell, outcome in cells.items() if kind(cell)) for kind in kinds]
        if cells:
            lines.append(_row([model, *commits]))
    return "\n".join([*lines, "", *made_by(outcomes.values())])


def _commits(outcomes: Iterable[Outcome]) -> str:
    return ", ".join(dict.fromkeys(outcome.commit for outcome in outcomes))


def _header(titles: Sequence[str]) -> list[str]:
    return [_row(titles), "| " + " | ".join("---" for _ in titles) + " |"]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
