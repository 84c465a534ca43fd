"""The cells of the comparison, and when one is due.

A cell is one network, one target, and the way to it: "naive", which is what the tools' own documentation says, or "own".
Each is made and measured by processes of its own with a time limit, so that a converter that crashes or hangs costs one
cell. Outcomes are kept in one file that is committed: the same command goes on after a stop, in any clone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edgedeploy.studies.results import PACKAGE, code_key
from edgedeploy.studies.zoo_matrix import cells as zoo_matrix

Side = Literal["naive", "own"]

PROMISED = ("topformer-tiny", "edgenext-xx-small", "edgevit-xxs", "conv2former-n", "mobilenetv2-100")
NETWORKS = (*PROMISED, "mobilenetv3-large-100", "mobilevit-s", "xformer", "swin-tiny")
BACKENDS = ("tflite", "executorch", "onnx")
FORMATS = ("fp32", "int8")
# other forms of the naive path, of one network: which of them its figure depends on
FORMS_OF = "topformer-tiny"
FORMS: Mapping[str, tuple[str, ...]] = {
    "tflite-fp32": ("channel-last",),
    "tflite-int8": (
        "float-io",
        "channel-last",
        "channel-last+float-io",
        "symmetric-products",
        "channel-last+symmetric-products",
        "channel-last+float-io+symmetric-products",
    ),
    "onnx-int8": ("uint8-activations",),
}
# below the package: what a naive artifact depends on. The project's own exporters and rewrites are not among it.
NAIVE_CODE = (
    "studies/versus/naive.py", "models/layers.py", "models/loading/random_weights.py", "data/*.py",
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One artifact.

    Attributes:
        form: of the naive path, where it is not the tools' default.
        without: the rewrite that is left out of the own path.
    """

    model: str
    family: str
    target: str
    side: Side
    form: str = ""
    without: str = ""

    def __str__(self) -> str:
        extra = f" {self.form}" if self.form else f" without {self.without}" if self.without else ""
        return f"{self.model}/{self.target}/{self.side}{extra}"

    @property
    def backend(self) -> str:
        """ "tflite" of "tflite-int8"."""
        return self.target.partition("-")[0]

    def output(self, folder: Path) -> Path:
        """The folder that holds <model>/<target>/ of this side, form and left-out rewrite."""
        return folder / "-".join(part for part in (self.side, self.form, self.without and f"no-{self.without}") if part)

    def path(self, folder: Path) -> Path:
        """The artifact's folder."""
        return self.output(folder) / self.model / self.target


@dataclass(frozen=True)
class Outcome:
    """What is known of a cell.

    Attributes:
        fingerprint: of the code that made it.
        seconds: for making and measuring it.
        error: why there is no artifact, or why it does not run on Arm, in one line; "" where all went well.
        size_bytes: of the file.
        relative_error, sqnr_db: of the worst output against the eager float network; None where there is none, or the
            outputs are equal.
        macs: multiply-accumulates of one inference.
        instructions: executed A64 instructions of one inference.
        bound: the fewest that the arithmetic could take.
        with_rewrite: where a rewrite is left out, the instructions of the artifact that has it, of the same code.
        rewrites: how often each rewrite was applied, those that were.
        latency_ns: median wall time on this machine, one thread.
        timed_with: names the artifacts that took turns with it.
        commit, machine: what made it.
    """

    fingerprint: str
    seconds: float
    error: str = ""
    size_bytes: int | None = None
    relative_error: float | None = None
    sqnr_db: float | None = None
    macs: int | None = None
    instructions: int | None = None
    bound: float | None = None
    with_rewrite: int | None = None
    rewrites: Mapping[str, int] = field(default_factory=dict)
    latency_ns: int | None = None
    timed_with: str = ""
    commit: str = ""
    machine: str = ""


Outcomes = Mapping[Cell, Outcome]


def compared_cells(families: Mapping[str, str]) -> Iterator[Cell]:
    """Both sides of every network on every target, those of the promised ratios first.

    Args:
        families: of each network.
    """
    for model in NETWORKS:
        for backend in BACKENDS:
            for format in FORMATS:
                for side in ("naive", "own"):
                    yield Cell(model, families[model], f"{backend}-{format}", side)


def form_cells(families: Mapping[str, str]) -> Iterator[Cell]:
    """Other forms of the naive path."""
    for target, forms in FORMS.items():
        for form in forms:
            yield Cell(FORMS_OF, families[FORMS_OF], target, "naive", form=form)


def left_out_cells(outcomes: Outcomes) -> Iterator[Cell]:
    """One for each rewrite of each own artifact: the same artifact without it. The outcomes tell which were applied."""
    for cell, outcome in outcomes.items():
        if cell.side == "own" and not cell.without:
            for rewrite in outcome.rewrites:
                yield Cell(cell.model, cell.family, cell.target, "own", without=rewrite)


def fingerprint(cell: Cell, package: Path = PACKAGE) -> str:
    """A hash of the code and the converters that decide a cell's artifact."""
    if cell.side == "own":
        return zoo_matrix.fingerprint(zoo_matrix.Cell(cell.model, cell.family, cell.target), package)
    return code_key(package, (*NAIVE_CODE, f"models/{cell.family}.py"))


def is_due(cell: Cell, known: Outcome | None, *, again: bool = False) -> bool:
    """Whether a cell has to be made.

    A naive path that fails is a result, and is tried again where `again` says so; an own one that failed always is.
    """
    if known is None or known.fingerprint != fingerprint(cell):
        return True
    return bool(known.error) and (again or cell.side == "own")


def in_order(known: Mapping[str, Outcome], wanted: Sequence[Cell]) -> dict[Cell, Outcome]:
    """The outcomes of the wanted cells that have one, in the wanted order."""
    return {cell: known[str(cell)] for cell in wanted if str(cell) in known}
