"""The cells of the matrix, and the exports that fill them.

Each cell is one export in a process of its own, so that a converter that crashes costs one cell. A cell that is done is not
exported again while the code that makes it is the same: its fingerprint covers the family's file, the format's exporter,
the code that all of them share, and the versions of the converters. The outcomes are kept in one file that is committed, so
that any clone can resume the matrix.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from edgedeploy.core.artifact import MANIFEST, Artifact, Manifest
from edgedeploy.core.child_processes import child_environment, module_command
from edgedeploy.core.errors import EdgedeployError
from edgedeploy.core.parity import worst
from edgedeploy.studies.arm_count import count_on_arm
from edgedeploy.studies.delegates import Agreement, agreement
from edgedeploy.studies.results import EXPORTING, PACKAGE, UNKNOWN, Origin, RecordFile, code_key

if TYPE_CHECKING:
    from edgedeploy.core.spec import ModelSpec

T = TypeVar("T")
TARGETS = ("onnx-fp32", "executorch-fp32", "tflite-fp32", "onnx-int8", "executorch-int8", "tflite-int8")
BIG = 30_000_000  # parameters; beyond, one target is enough
BIG_TARGETS = ("onnx-fp32",)
# (height, width) beside the official one, for the smallest variant of each of the seed families; the last is not square
OTHER_SIZES: dict[str, tuple[tuple[int, int], ...]] = {
    "topformer-tiny": ((480, 480), (384, 512)),
    "edgenext-xx-small": ((224, 224), (288, 288), (192, 320)),
    "edgevit-xxs": ((256, 256), (192, 320)),
    "conv2former-n": ((192, 192), (256, 256), (192, 320)),
    "xformer": ((192, 320),),
}


@dataclass(frozen=True)
class Cell:
    """One variant on one target; `size` is (height, width) where it is not the official one."""

    model: str
    family: str
    target: str
    size: tuple[int, int] | None = None

    def __str__(self) -> str:
        return f"{self.network}/{self.target}"

    @property
    def network(self) -> str:
        """As a row of the page calls it: "edgevit-xxs at 256x256"."""
        return self.model + (f" at {_text(self.size)}" if self.size else "")

    def output(self, folder: Path) -> Path:
        """The folder that `export --output` is given: each size has one."""
        return folder / f"at-{_text(self.size)}" if self.size else folder

    def path(self, folder: Path) -> Path:
        """The artifact's folder."""
        return self.output(folder) / self.model / self.target


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


@dataclass(frozen=True)
class Outcome:
    """The result of a cell's export.

    Attributes:
        fingerprint: of the code that made it.
        seconds: of the whole export.
        error: in one line, or "" where an artifact was made.
        relative_error, sqnr_db: of the worst output; None where there is no artifact, or the outputs are equal.
        missed: the parity misses the target's threshold, and the artifact was kept.
        sha256: of the artifact's file.
        instructions: executed A64 instructions of one inference; None where it was not counted or does not run on Arm.
        arm_error: why it does not run on Arm, in one line.
        explained: operators that `explain` was held against its runtime for; None where the runtime tells nothing.
        wrongly_explained: what `explain` said otherwise of them.
        commit, machine: the code and the machine that made it, for the page.
    """

    fingerprint: str
    seconds: float
    error: str = ""
    relative_error: float | None = None
    sqnr_db: float | None = None
    missed: bool = False
    sha256: str = ""
    instructions: int | None = None
    arm_error: str = ""
    explained: int | None = None
    wrongly_explained: tuple[str, ...] = ()
    commit: str = ""
    machine: str = ""


def of_cells(records: RecordFile[T], wanted: Iterable[Cell]) -> dict[Cell, T]:
    """The records of cells, in the order in which these are wanted. Raises UsageError for a broken file."""
    known = records.read()
    return {cell: known[str(cell)] for cell in wanted if str(cell) in known}


class Results:
    """The outcomes of the cells, in a JSON file. Several runs may fill it at the same time."""

    def __init__(self, path: Path) -> None:
        self.path, self._records = path, RecordFile(path, Outcome)

    def read(self, wanted: Iterable[Cell]) -> dict[Cell, Outcome]:
        """The cells that were ever filled, in the order in which they are wanted. Raises UsageError for a broken file."""
        return of_cells(self._records, wanted)

    def add(self, cell: Cell, outcome: Outcome) -> None:
        """Keeps one more."""
        self._records.add(str(cell), outcome)


Export = Callable[[Cell, Path], str]  # writes <folder>/<model>/<target>/, or returns why it could not
Count = Callable[[Path], int]  # executed A64 instructions of one inference of the artifact in this folder
Explain = Callable[[Path], Agreement | None]  # `explain` held against the runtime of the artifact in this folder


@dataclass(frozen=True)
class Workshop:
    """Who makes artifacts, counts their instructions, and compares them with what `explain` says."""

    export: Export
    count: Count
    explain: Explain = lambda _: None


def cells(specs: Iterable[ModelSpec]) -> Iterator[Cell]:
    """The matrix, smallest networks first, so that the table fills quickly; then the other sizes."""
    specs = list(specs)
    for spec in sorted(specs, key=lambda spec: spec.parameters):
        for target in TARGETS if spec.parameters <= BIG else BIG_TARGETS:
            yield Cell(spec.name, spec.family, target)
    for spec in specs:
        for size in OTHER_SIZES.get(spec.name, ()):
            for target in TARGETS:
                yield Cell(spec.name, spec.family, target, size)


def fingerprint(cell: Cell, package: Path | None = None, tools: dict[str, str] | None = None) -> str:
    """A hash of the code and the converters that decide a cell's artifact."""
    exporter = cell.target.partition("-")[0]
    own = (f"models/{cell.family}.py", f"exporters/*{exporter}*.py", f"exporters/*{exporter}*/*.py")
    return code_key(package or PACKAGE, (*EXPORTING, *own), tools)


def run(
    wanted: Sequence[Cell],
    folder: Path,
    workshop: Workshop,
    results: Results,
    on_cell: Callable[[Cell, Outcome, bool], None] = lambda *_: None,
    origin: Origin = UNKNOWN,
) -> None:
    """Fills the cells that are not filled yet. `on_cell` is called with each, and whether it was made now.

    A cell of older code is made again; so is one that failed, since the disk or the machine may have been at fault.
    """
    before = results.read(wanted)
    for cell in wanted:
        code, known = fingerprint(cell), before.get(cell)
        fresh = known is None or known.fingerprint != code or bool(known.error)
        if known is None or fresh:
            start = time.monotonic()
            error = workshop.export(cell, folder)
            judged = _judge(cell.path(folder), code, round(time.monotonic() - start, 1), error)
            counted = _counted(judged, cell.path(folder), workshop.count)
            known = _explained(counted, cell.path(folder), workshop.explain)
            known = replace(known, commit=origin.commit, machine=origin.machine)
            results.add(cell, known)
        on_cell(cell, known, fresh)


def _judge(path: Path, code: str, seconds: float, error: str) -> Outcome:
    if error:
        return Outcome(code, seconds, error)
    manifest = Manifest.from_json((path / MANIFEST).read_bytes())
    parity = worst(manifest.parity)
    assert parity is not None, "a network has outputs"
    missed = bool(manifest.threshold.misses([parity]))
    return Outcome(code, seconds, "", parity.relative_error, parity.sqnr_db, missed, manifest.sha256)


def _counted(outcome: Outcome, path: Path, count: Count) -> Outcome:
    if outcome.error:
        return outcome
    try:
        return replace(outcome, instructions=count(path))
    except EdgedeployError as error:
        return replace(outcome, arm_error=error.message)


def _explained(outcome: Outcome, path: Path, explain: Explain) -> Outcome:
    if outcome.error:
        return outcome
    try:
        found = explain(path)
    except EdgedeployError as error:
        return replace(outcome, explained=0, wrongly_explained=(error.message,))
    if found is None:
        return outcome
    return replace(outcome, explained=found.operators, wrongly_explained=found.differences)


def explain_artifact(path: Path) -> Agreement | None:
    """What `explain` says of an artifact, held against its runtime. Raises EdgedeployError."""
    return agreement(Artifact.load(path))


def count_instructions(path: Path) -> int:
    """Executed A64 instructions of one inference on an emulated Arm CPU. Raises EdgedeployError."""
    return count_on_arm(Artifact.load(path)).total


def kept_artifact(cell: Cell, folder: Path, results: Results) -> Path | None:
    """The folder of the artifact that this code made for the cell, if it is still there."""
    known, path = results.read([cell]).get(cell), cell.path(folder)
    if known is None or known.error or known.fingerprint != fingerprint(cell) or not (path / MANIFEST).is_file():
        return None
    manifest = Manifest.from_json((path / MANIFEST).read_bytes())
    return path if known.sha256 and manifest.sha256 == known.sha256 else None


def export_in_a_process(cell: Cell, folder: Path, options: Sequence[str] = ()) -> str:
    """One export by the command line. int8 keeps what misses its threshold: with random weights that means little.

    Args:
        options: further ones of the command.
    """
    command = module_command(
        "edgedeploy", "export", cell.model, "--target", cell.target, "-o", str(cell.output(folder)), *options
    )
    if cell.size:
        command += ["--input-size", _text(cell.size)]
    if cell.target.endswith("int8"):
        command.append("--allow-low-parity")
    done = subprocess.run(
        command, capture_output=True, text=True, env=child_environment(), stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode == 0:
        return ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    last = errors or [line for line in done.stderr.splitlines() if line.strip()][-1:] or ["no message"]
    return f"exit code {done.returncode}: {last[0].removeprefix('error: ')}"
