"""The zoo's matrix: every variant to every format, in float and int8, proven; `python -m edgedeploy.zoo_matrix`.

Each cell is one export in a process of its own, so that a converter that crashes costs one cell. A cell that is done is not
done again while the code that makes it is the same: its fingerprint covers the family's file, the format's exporter, what
all of them share, and the versions of the converters. The table is written anew after every cell.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .core.artifact import MANIFEST, Manifest
from .core.files import write_atomically, write_json
from .versions import versions

if TYPE_CHECKING:
    from .core.spec import ModelSpec

TARGETS = ("onnx-fp32", "executorch-fp32", "tflite-fp32", "onnx-int8", "executorch-int8", "tflite-int8")
BIG = 30_000_000  # parameters; beyond, one target is enough
BIG_TARGETS = ("onnx-fp32",)
RECORD = "cell.json"
# below the package, beside the family's and the format's own file: what an artifact depends on
SHARED = (
    "core/*.py", "pipeline.py", "intake.py", "images.py", "proof.py", "models/layers.py", "models/weights.py",
    "models/heads.py", "models/rewrites/*.py", "exporters/job.py", "exporters/targets.py", "exporters/label_tail.py",
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One variant on one target."""

    model: str
    family: str
    target: str

    def __str__(self) -> str:
        return f"{self.model}/{self.target}"


@dataclass(frozen=True)
class Outcome:
    """What became of a cell.

    Attributes:
        fingerprint: of the code that made it.
        seconds: of the whole export.
        error: in one line, or "" where an artifact was made.
        relative_error, sqnr_db: of the worst output; None where there is no artifact, or the outputs are equal.
        missed: below the target's floor, and kept.
    """

    fingerprint: str
    seconds: float
    error: str = ""
    relative_error: float | None = None
    sqnr_db: float | None = None
    missed: bool = False


Export = Callable[[Cell, Path], str]  # writes <folder>/<model>/<target>/, or returns why it could not


def cells(specs: Iterable[ModelSpec]) -> Iterator[Cell]:
    """The matrix, smallest networks first, so that the table fills quickly."""
    for spec in sorted(specs, key=lambda spec: spec.parameters):
        for target in TARGETS if spec.parameters <= BIG else BIG_TARGETS:
            yield Cell(spec.name, spec.family, target)


def fingerprint(cell: Cell, package: Path | None = None, tools: dict[str, str] | None = None) -> str:
    """Of the code and converters that decide a cell's artifact."""
    root = package or Path(__file__).parent
    exporter = cell.target.partition("-")[0]
    patterns = (*SHARED, f"models/{cell.family}.py", f"exporters/to_{exporter}.py")
    digest = hashlib.sha256(json.dumps(tools or versions(), sort_keys=True).encode())
    for pattern in patterns:
        for path in sorted(root.glob(pattern)):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def run(
    wanted: Sequence[Cell],
    folder: Path,
    export: Export,
    on_cell: Callable[[Cell, Outcome, bool], None] = lambda *_: None,
) -> dict[Cell, Outcome]:
    """Fills the cells that are not filled yet. `on_cell` hears of each, and whether it was made now.

    An artifact that is gone or of older code is made again; so is a cell that failed, since a failure may have been the
    disk's or the machine's.
    """
    outcomes: dict[Cell, Outcome] = {}
    for cell in wanted:
        place = folder / cell.model / cell.target
        code = fingerprint(cell)
        known = _recorded(place)
        fresh = known is None or known.fingerprint != code or bool(known.error)
        if known is None or fresh:
            start = time.monotonic()
            error = export(cell, folder)
            known = _judge(place, code, time.monotonic() - start, error)
            write_json(place / RECORD, asdict(known))
        outcomes[cell] = known
        on_cell(cell, known, fresh)
    return outcomes


def filled(wanted: Iterable[Cell], folder: Path) -> dict[Cell, Outcome]:
    """The cells that an earlier run filled with the code as it is now."""
    found = {cell: _recorded(folder / cell.model / cell.target) for cell in wanted}
    return {
        cell: known for cell, known in found.items() if known is not None and known.fingerprint == fingerprint(cell)
    }


def _recorded(place: Path) -> Outcome | None:
    """What an earlier run noted, where its artifact is still there."""
    try:
        outcome = Outcome(**json.loads((place / RECORD).read_text()))
        manifest = Manifest.from_json(json.loads((place / MANIFEST).read_text()))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return outcome if (place / manifest.file).is_file() else None


def _judge(place: Path, code: str, seconds: float, error: str) -> Outcome:
    if error:
        return Outcome(code, seconds, error)
    manifest = Manifest.from_json(json.loads((place / MANIFEST).read_text()))
    worst = max(manifest.parity, key=lambda parity: parity.relative_error)
    record = worst.to_json()
    bound, least = manifest.floor.get("relative_error"), manifest.floor.get("sqnr_db")
    missed = (bound is not None and not worst.relative_error < bound) or (least is not None and worst.sqnr_db < least)
    return Outcome(code, seconds, "", worst.relative_error, record["sqnr_db"], missed)


def export_in_a_process(cell: Cell, folder: Path) -> str:
    """One export by the command line. int8 keeps what is below its floor: with random weights that says little."""
    command = [sys.executable, "-m", "edgedeploy", "export", cell.model, "--target", cell.target, "-o", str(folder)]
    if cell.target.endswith("int8"):
        command.append("--allow-low-parity")
    root = str(Path(__file__).resolve().parent.parent)
    paths = [path for path in (root, os.environ.get("PYTHONPATH", "")) if path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode == 0:
        return ""
    said = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    last = said or [line for line in done.stderr.splitlines() if line.strip()][-1:] or ["nothing was said"]
    return f"exit code {done.returncode}: {last[0].removeprefix('error: ')}"


# the table


def render(outcomes: dict[Cell, Outcome], machine: Sequence[str]) -> str:
    """The Markdown page: float cells show the largest error in σ, int8 cells the SQNR in dB."""
    models = list(dict.fromkeys(cell.model for cell in outcomes))
    by_place = {(cell.model, cell.target): outcome for cell, outcome in outcomes.items()}
    notes: dict[str, int] = {}
    lines = [
        "# The zoo, exported",
        "",
        "Written by `make zoo`; " + "; ".join(machine) + ".",
        "",
        "Weights are random (seed 0). Float columns: largest error over the output's standard deviation, against the eager",
        "network; the bound is 1e-4. int8 columns: signal to quantization noise in dB; it says that the network lowers and",
        "runs, and nothing about the accuracy of trained weights. `*` marks a cell below its target's floor.",
        "",
        "| model | " + " | ".join(TARGETS) + " |",
        "| --- |" + " ---: |" * len(TARGETS),
    ]
    for model in models:
        row = [_cell_text(by_place.get((model, target)), target, notes) for target in TARGETS]
        lines.append(f"| {model} | " + " | ".join(row) + " |")
    if notes:
        lines += ["", *(f"[{number}] {text}" for text, number in notes.items())]
    done = [outcome for outcome in outcomes.values() if not outcome.error]
    lines += [
        "",
        f"{len(done)} of {len(outcomes)} cells, {sum(o.seconds for o in outcomes.values()) / 60:.0f} minutes.",
    ]
    return "\n".join(lines) + "\n"


def _cell_text(outcome: Outcome | None, target: str, notes: dict[str, int]) -> str:
    if outcome is None:
        return ""
    if outcome.error:
        return f"failed [{notes.setdefault(outcome.error, len(notes) + 1)}]"
    mark = "*" if outcome.missed else ""
    if target.endswith("fp32"):
        return f"{outcome.relative_error:.1e}{mark}"
    return ("equal" if outcome.sqnr_db is None else f"{outcome.sqnr_db:.1f}") + mark


def machine_facts() -> list[str]:
    """What a figure depends on: machine, versions, commit."""
    from edgedeploy.benchmarks.local import describe

    device = describe()
    kept = ("torch", "onnxruntime", "executorch", "litert-torch", "ai-edge-litert")
    tools = ", ".join(f"{name} {version}" for name, version in versions().items() if name in kept)
    return [
        f"{device.model or platform.machine()}, {device.cores} cores, {device.os}",
        f"Python {platform.python_version()}, {tools}",
        f"commit {_commit()}",
    ]


def _commit() -> str:
    root = Path(__file__).resolve().parent.parent
    try:
        run_git: Any = lambda *a: subprocess.run(  # noqa: E731
            ["git", "-C", str(root), *a], capture_output=True, text=True, check=True
        ).stdout.strip()
        return str(run_git("rev-parse", "--short=12", "HEAD")) + (
            " with changes" if run_git("status", "--short") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def main(arguments: Sequence[str] | None = None) -> int:
    """Fills the matrix with a progress bar; exit code 1 where a cell failed or a float one missed its floor."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from edgedeploy.models.zoo import ZOO

    parser = argparse.ArgumentParser(prog="python -m edgedeploy.zoo_matrix", description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("build/zoo"), help="where artifacts and records are kept")
    parser.add_argument("--table", type=Path, default=Path("docs/zoo.md"), help="the page that is written")
    parser.add_argument("--only", default="", help="only cells whose model/target contains this")
    options = parser.parse_args(arguments)
    wanted = [cell for cell in cells(ZOO) if options.only in str(cell)]
    if not wanted:
        parser.error(f"no cell is called like {options.only!r}")
    facts, outcomes = machine_facts(), {}
    earlier = filled(cells(ZOO), options.output)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn()) as bar:
        task = bar.add_task(str(wanted[0]), total=len(wanted))

        def on_cell(cell: Cell, outcome: Outcome, fresh: bool) -> None:
            outcomes[cell] = outcome
            whole = {other: {**earlier, **outcomes}.get(other) for other in cells(ZOO)}
            write_atomically(options.table, render({c: o for c, o in whole.items() if o is not None}, facts))
            text = outcome.error or _cell_text(outcome, cell.target, {})
            bar.print(f"{cell}  {text}  {f'{outcome.seconds:.0f} s' if fresh else 'as before'}")
            following = wanted[len(outcomes)] if len(outcomes) < len(wanted) else cell
            bar.update(task, advance=1, description=str(following))

        run(wanted, options.output, export_in_a_process, on_cell)
    bad = [o for cell, o in outcomes.items() if o.error or (o.missed and cell.target.endswith("fp32"))]
    print(f"{options.table}: {len(outcomes) - len(bad)} of {len(outcomes)} cells are as they should be")
    return 1 if bad else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on with the next cell", file=sys.stderr)
        sys.exit(130)
