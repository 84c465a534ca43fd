"""The page docs/strangers.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgedeploy.studies.results import figure_text, made_by

from .cells import TARGETS, Fate, Stranger

LEGEND = (
    "Written by `make strangers`: networks that this project was not written for, in six targets. Those called `own:` are",
    "in edgedeploy/studies/strangers/networks.py, the others are of timm; weights are random (seed 0), int8 ranges of",
    "8 samples. Float columns: largest error over the output's standard deviation, against the eager network; the bound is",
    "1e-4. int8 columns: signal to quantization noise of the worst output in dB. `*` marks a cell below its target's",
    "threshold; a number in brackets is a message below.",
)
GAP_DB = 6.0  # by how much the int8 of the runtimes may differ
FLOAT_BOUND = 1e-4


def render(fates: Mapping[str, Fate], networks: Sequence[Stranger]) -> str:
    """The page for the networks of which a cell was run.

    Args:
        fates: by network and target, "NAME/TARGET".
    """
    rows = [(n, {t: fates[f"{n.name}/{t}"] for t in TARGETS if f"{n.name}/{t}" in fates}) for n in networks]
    rows = [(network, cells) for network, cells in rows if cells]
    notes: dict[str, int] = {}
    lines = ["# Networks of strangers", "", *LEGEND, ""]
    lines += ["| network | " + " | ".join(TARGETS) + " |", "| --- |" + " ---: |" * len(TARGETS)]
    for network, cells in rows:
        texts = [_text(cells.get(target), target, notes) for target in TARGETS]
        lines.append(f"| {network.name} | " + " | ".join(texts) + " |")
    lines += ["", f"{len(rows)} of the study's {len(networks)} networks have run.", *_summary(rows), ""]
    lines += [f"{number}. {text.replace('|', '/')}" for text, number in notes.items()]
    return "\n".join([*lines, "", *made_by(fate for _, cells in rows for fate in cells.values())]) + "\n"


def _text(fate: Fate | None, target: str, notes: dict[str, int]) -> str:
    if fate is None:
        return ""
    if fate.error:
        return f"[{notes.setdefault(fate.error, len(notes) + 1)}]"
    return figure_text(target, fate.relative_error, fate.sqnr_db, missed=fate.missed)


def is_good(network: Stranger, target: str, fate: Fate) -> bool:
    """Whether a cell is as it must be: an artifact, in float within the bound; or a message where it must be refused."""
    if network.refused or fate.error:
        return network.refused and bool(fate.error)
    return not target.endswith("fp32") or (fate.relative_error or 0.0) <= FLOAT_BOUND


def _summary(rows: Sequence[tuple[Stranger, Mapping[str, Fate]]]) -> list[str]:
    cells = [(network, target, fate) for network, fates in rows for target, fate in fates.items()]
    good = sum(is_good(*cell) for cell in cells)
    apart = [text for network, fates in rows if (text := _apart(network, fates))]
    lines = [
        f"{good} of {len(cells)} cells ({good / max(len(cells), 1):.1%}) of {len(rows)} networks are as they must be."
    ]
    if apart:
        lines += ["", f"int8 of the runtimes more than {GAP_DB:.0f} dB apart, and what the export said about it:", ""]
        lines += [f"- {text}" for text in apart]
    missed = [(network, t, fate) for network, fates in rows for t, fate in fates.items() if fate.missed and fate.note]
    if missed:
        lines += ["", "Cells below their target's threshold, and where they part from the network:", ""]
        lines += [f"- {network.name}, {target}: {fate.note}" for network, target, fate in missed]
    return lines


def _apart(network: Stranger, fates: Mapping[str, Fate]) -> str:
    """The network with its int8 figures where they are too far apart; "" where they are not."""
    found = {t: f.sqnr_db for t, f in fates.items() if t.endswith("int8") and not f.error and f.sqnr_db is not None}
    if not found or max(found.values()) - min(found.values()) <= GAP_DB:
        return ""
    figures = ", ".join(f"{target.removesuffix('-int8')} {db:.1f}" for target, db in found.items())
    notes = [f"{target}: {fates[target].note}" for target in found if fates[target].note]
    return "; ".join([f"{network.name} ({figures})", *notes])
