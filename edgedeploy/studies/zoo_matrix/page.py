"""What the zoo's matrix shows: the page docs/zoo.md, and the table of the README."""

from __future__ import annotations

from collections.abc import Mapping

from edgedeploy.studies.results import LARGEST_SPREAD_DB, figure_text, made_by

from .cells import TARGETS, Cell, Outcome
from .spread import Spread, apart_on_average, section

BACKENDS = tuple(dict.fromkeys(target.partition("-")[0] for target in TARGETS))
LEAST_SQNR_DB = 20
MARKS = ("<!-- zoo: written by `make zoo` -->", "<!-- zoo: end -->")
LEGEND = (
    "Weights are random (seed 0). Float columns: largest error over the output's standard deviation, against the eager",
    "network; the bound is 1e-4. int8 columns: signal to quantization noise in dB; it says that the network lowers and",
    "runs, and nothing about the accuracy of trained weights. `*` marks a cell that misses its target's threshold. Figures",
    "are over up to 16 held-out images, those of 785efc1 and of commits before it over four.",
)


def render(outcomes: Mapping[Cell, Outcome], spreads: Mapping[Cell, Spread] | None = None) -> str:
    """The Markdown page: float cells show the largest error in σ, int8 cells the SQNR in dB.

    Args:
        spreads: of the cells whose SQNR was measured with several ranges.
    """
    notes: dict[str, int] = {}
    own = {cell: outcome for cell, outcome in outcomes.items() if cell.size is None}
    other = {cell: outcome for cell, outcome in outcomes.items() if cell.size is not None}
    lines = ["# The zoo, exported", "", "Written by `make zoo`.", "", *LEGEND, "", *_table(own, notes)]
    if other:
        lines += ["", "## At other input sizes", "", *_table(other, notes)]
    spreads = spreads or {}
    lines += [
        *_int8_verdict(outcomes, spreads),
        *section(spreads),
        *_instructions(outcomes, notes),
        *_explain(outcomes),
    ]
    if notes:
        lines += ["", *(f"[{number}] {text}" for text, number in notes.items())]
    done = [outcome for outcome in outcomes.values() if not outcome.error]
    lines += [
        "",
        f"{len(done)} of {len(outcomes)} cells that were run have an artifact.",
        "",
        *made_by(outcomes.values()),
    ]
    return "\n".join(lines) + "\n"


def into_readme(readme: str, outcomes: Mapping[Cell, Outcome]) -> str:
    """The README with the smallest network of each family in the table between its marks.

    It is returned as it was where it has no marks, or where there is nothing to show.
    """
    before, mark, rest = readme.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    own = _smallest_of_each_family(outcomes)
    if not (mark and end and own):
        return readme
    notes: dict[str, int] = {}
    lines = [
        mark,
        "",
        *_table(own, notes),
        "",
        *(f"[{n}] {text}" for text, n in notes.items()),
        *made_by(own.values()),
        end,
    ]
    return before + "\n".join(lines) + after


def _smallest_of_each_family(outcomes: Mapping[Cell, Outcome]) -> dict[Cell, Outcome]:
    """The cells are in the order of their networks' sizes, so the first network of a family is its smallest."""
    first: dict[str, str] = {}
    for cell in outcomes:
        first.setdefault(cell.family, cell.model)
    return {cell: o for cell, o in outcomes.items() if cell.size is None and first[cell.family] == cell.model}


def _table(outcomes: Mapping[Cell, Outcome], notes: dict[str, int]) -> list[str]:
    by_cell = {(cell.network, cell.target): outcome for cell, outcome in outcomes.items()}
    lines = ["| network | " + " | ".join(TARGETS) + " | commit |", "| --- |" + " ---: |" * len(TARGETS) + " --- |"]
    for network in dict.fromkeys(cell.network for cell in outcomes):
        row = [cell_text(by_cell.get((network, target)), target, notes) for target in TARGETS]
        commits = dict.fromkeys(o.commit for (name, _), o in by_cell.items() if name == network)
        lines.append(f"| {network} | " + " | ".join(row) + f" | {', '.join(commits)} |")
    return lines


def _int8_verdict(outcomes: Mapping[Cell, Outcome], spreads: Mapping[Cell, Spread]) -> list[str]:
    """How many networks that all runtimes have in int8 have enough dB there, and where the runtimes differ."""
    by_network: dict[str, list[float]] = {}
    for cell, outcome in outcomes.items():
        if cell.target.endswith("int8") and outcome.sqnr_db is not None:
            by_network.setdefault(cell.network, []).append(outcome.sqnr_db)
    whole = {network: found for network, found in by_network.items() if len(found) == len(BACKENDS)}
    if not whole:
        return []
    enough = sum(min(found) >= LEAST_SQNR_DB for found in whole.values())
    apart = []
    for network, found in whole.items():
        if max(found) - min(found) > LARGEST_SPREAD_DB:
            average = apart_on_average(network, spreads)
            apart.append(
                network if average is None else f"{network} ({average:.1f} dB on average over the ranges below)"
            )
    where = f"; not {', '.join(apart)}" if apart else ""
    return [
        "",
        f"In int8 {enough} of {len(whole)} rows have at least {LEAST_SQNR_DB} dB on every runtime, "
        "and the runtimes are within",
        f"{LARGEST_SPREAD_DB} dB of each other on {len(whole) - len(apart)}{where}.",
    ]


def _instructions(outcomes: Mapping[Cell, Outcome], notes: dict[str, int]) -> list[str]:
    """Of every network: what its artifacts take on Arm, and int8 over float."""
    counted = {(cell.network, cell.target): o for cell, o in outcomes.items() if o.instructions or o.arm_error}
    if not counted:
        return []
    pairs = [(f"{backend}-fp32", f"{backend}-int8") for backend in BACKENDS]
    header = [f"{target} | int8 / fp32" if target.endswith("int8") else target for pair in pairs for target in pair]
    lines = ["| network | " + " | ".join(header) + " |", "| --- |" + " ---: |" * 3 * len(pairs)]
    ratios = []
    for network in dict.fromkeys(network for network, _ in counted):
        row = []
        for pair in pairs:
            two = [counted.get((network, target)) for target in pair]
            both = [o.instructions for o in two if o and o.instructions]
            if len(both) == len(pair):
                ratios.append(both[1] / both[0])
            row += [*(_millions(o, notes) for o in two), f"{ratios[-1]:.2f}" if len(both) == len(pair) else ""]
        lines.append(f"| {network} | " + " | ".join(row) + " |")
    dearer = sum(ratio > 1 for ratio in ratios)
    verdict = f"Of {len(ratios)} pairs, {dearer} have an int8 artifact that takes more instructions than the float one."
    title = "Millions of executed A64 instructions of one inference, on an emulated Cortex-A76, one thread."
    return ["", "## On Arm", "", title, verdict, "", *lines]


def _explain(outcomes: Mapping[Cell, Outcome]) -> list[str]:
    """How many artifacts' delegates `explain` predicts, and the others."""
    compared = {cell: outcome for cell, outcome in outcomes.items() if outcome.explained is not None}
    if not compared:
        return []
    wrong = {cell: outcome for cell, outcome in compared.items() if outcome.wrongly_explained}
    right, operators = len(compared) - len(wrong), sum(outcome.explained or 0 for outcome in compared.values())
    return [
        "",
        "## What explain predicts",
        "",
        f"`explain` and the runtime agree about all operators and partitions of {right} of {len(compared)} artifacts,",
        f"{operators:,} operators. They are compared when the artifact is made. Of float ones of ONNX Runtime, which has",
        "no delegate, nothing is predicted.",
        *(f"- {cell}: {', '.join(outcome.wrongly_explained)}" for cell, outcome in wrong.items()),
    ]


def _millions(outcome: Outcome | None, notes: dict[str, int]) -> str:
    if outcome is None:
        return ""
    if outcome.arm_error:
        return f"failed [{notes.setdefault(outcome.arm_error, len(notes) + 1)}]"
    return f"{outcome.instructions / 1e6:.1f}" if outcome.instructions else ""


def cell_text(outcome: Outcome | None, target: str, notes: dict[str, int]) -> str:
    """One cell; a failure gets a number in `notes`."""
    if outcome is None:
        return ""
    if outcome.error:
        return f"failed [{notes.setdefault(outcome.error, len(notes) + 1)}]"
    return figure_text(target, outcome.relative_error, outcome.sqnr_db, missed=outcome.missed)
