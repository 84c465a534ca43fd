"""The cells of the study: a trained network on an int8 target, exported with the default recipe and evaluated.

The held-out images and those for calibration are written once, as PNG files in the layouts that users have, so that the
study goes through the same doors as they do: `export --weights --calib` and `evaluate --data`.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from edgedeploy.core.artifact import Artifact
from edgedeploy.core.child_processes import child_environment, module_command
from edgedeploy.core.errors import EdgedeployError
from edgedeploy.core.parity import worst
from edgedeploy.core.provenance import RecipeSearch
from edgedeploy.core.reporter import Reporter
from edgedeploy.core.results.evaluation import Evaluation
from edgedeploy.core.storage.cache import key_of
from edgedeploy.core.storage.files import sha256_of, staged_folder
from edgedeploy.models.zoo import ZOO
from edgedeploy.pipeline.evaluate import evaluate
from edgedeploy.studies.results import Origin
from edgedeploy.studies.zoo_matrix.cells import Cell, fingerprint

from . import efficientnet_lite0
from .digits import Split, write_class_folders, write_images_and_masks
from .networks import CALIBRATION_IMAGES, HELD_OUT_IMAGES, JUDGING_IMAGES, SEARCH_IMAGES, VERSION, TrainedNetwork
from .signal import parity_on

TARGETS = ("onnx-int8", "executorch-int8", "tflite-int8")
SEED = 1
MAX_DROP = "0.5%"  # that recipes are searched for
SearchUse = Literal["search", "judge"]
SEARCHED_WITH: dict[SearchUse, tuple[int, int]] = {  # images and seed
    "search": (SEARCH_IMAGES, 2),
    "judge": (JUDGING_IMAGES, 3),
}


@dataclass(frozen=True)
class Outcome:
    """What came out of one network on one target.

    Attributes:
        fingerprint: of the exporting code and of the trained weights.
        seconds: of export and evaluation.
        error: in one line, or "".
        sqnr_db: of the worst output, on held-out images of the study; None where outputs are equal.
        photographs_sqnr_db: the same on the crops of photographs that the export was verified with.
        evaluation: of the artifact beside the float network.
        search: how its recipe was found, where it was searched for.
        commit, machine: what made it.
    """

    fingerprint: str
    seconds: float
    error: str = ""
    sqnr_db: float | None = None
    photographs_sqnr_db: float | None = None
    evaluation: Evaluation | None = None
    search: RecipeSearch | None = None
    commit: str = ""
    machine: str = ""


@dataclass(frozen=True)
class _Request:
    """One export, in a folder for all of its kind, and the data of its evaluation.

    Attributes:
        own: the network comes from code that is named.
    """

    model: str
    target: str
    options: tuple[str, ...]
    data: Path
    own: bool = False
    folder: str = "artifacts"


@dataclass(frozen=True)
class Study:
    """Where the study keeps its files."""

    folder: Path
    origin: Origin

    @property
    def weights(self) -> Path:
        """The folder of the checkpoints."""
        return self.folder / "weights"

    def data(self, network: TrainedNetwork, split: Split) -> Path:
        """The images of one split for a network, which are written the first time."""
        masks = ZOO[network.model].task == "segmentation"
        kind = "masks" if masks else "classes"
        count = HELD_OUT_IMAGES if split == "held-out" else CALIBRATION_IMAGES
        write = write_images_and_masks if masks else write_class_folders
        return self._written(
            f"{split}-{kind}-{network.side}", lambda folder: write(folder, split, network.side, count, SEED)
        )

    def searched_data(self, network: TrainedNetwork, use: SearchUse) -> Path:
        """Labelled images to search a recipe with, or to judge it on: like the held-out ones, by seeds of their own."""
        count, seed = SEARCHED_WITH[use]
        return self._written(
            f"{use}-classes-{network.side}",
            lambda folder: write_class_folders(folder, "held-out", network.side, count, seed),
        )

    def photographs(self) -> Path:
        """The images without labels, for the network with ImageNet weights."""
        return self._written("photographs", efficientnet_lite0.write_photographs)

    def _written(self, name: str, write: Callable[[Path], object]) -> Path:
        """A folder of images, which `write` fills the first time."""
        final = self.folder / "data" / f"{name}-{VERSION}"
        if not final.is_dir():
            with staged_folder(final, lambda folder: set()) as stage:
                write(stage)
        return final

    def outcome(self, network: TrainedNetwork, target: str, checkpoint: Path, reporter: Reporter) -> Outcome:
        """Exports and evaluates one trained network; an error is recorded and not raised."""
        request = _Request(network.model, target, self._options(network, checkpoint), self.data(network, "held-out"))
        return self._outcome(request, self.fingerprint(network, target, checkpoint), reporter)

    def searched_outcome(self, network: TrainedNetwork, target: str, checkpoint: Path, reporter: Reporter) -> Outcome:
        """The same with a recipe that is searched for, so that top-1 falls by at most MAX_DROP."""
        search = ("--recipe", "auto", "--max-drop", MAX_DROP, "--data", str(self.searched_data(network, "search")))
        options = (*self._options(network, checkpoint), *search)
        request = _Request(network.model, target, options, self.searched_data(network, "judge"), folder="searched")
        return self._outcome(request, self.fingerprint(network, target, checkpoint), reporter)

    def _options(self, network: TrainedNetwork, checkpoint: Path) -> tuple[str, ...]:
        return (
            "--weights", str(checkpoint), "--input-size", str(network.side),
            "--calib", str(self.data(network, "train")), "--num-calib", str(CALIBRATION_IMAGES),
        )  # fmt: skip

    def pretrained_outcome(self, target: str, reporter: Reporter) -> Outcome:
        """The same for the network with ImageNet weights, which goes through the door for the user's own networks."""
        model = f"{efficientnet_lite0.__name__}:make"
        side = f"1x3x{efficientnet_lite0.SIDE}x{efficientnet_lite0.SIDE}"
        request = _Request(model, target, ("--input", side), self.photographs(), own=True)
        return self._outcome(request, self.pretrained_fingerprint(target), reporter)

    def fingerprint(self, network: TrainedNetwork, target: str, checkpoint: Path) -> str:
        """Of all that decides a cell."""
        family = ZOO[network.model].family
        return key_of([fingerprint(Cell(network.model, family, target)), sha256_of(checkpoint), network.key])

    def pretrained_fingerprint(self, target: str) -> str:
        """Of all that decides a cell of the network with ImageNet weights."""
        return key_of([fingerprint(Cell(efficientnet_lite0.NAME, efficientnet_lite0.NAME, target)), str(VERSION)])

    def _outcome(self, request: _Request, code: str, reporter: Reporter) -> Outcome:
        start = time.monotonic()
        try:
            artifact = self._export(request, reporter)
            model = request.model if request.own else None
            evaluation = evaluate(artifact.folder, request.data, model=model, reporter=reporter)
            on_data = parity_on(artifact, request.data, model, reporter)
        except EdgedeployError as error:
            made = Outcome(code, 0.0, error.message)
        else:
            parity = worst(artifact.manifest.parity)
            photographs_sqnr_db = parity.sqnr_db if parity else None
            search = artifact.manifest.provenance.search
            made = Outcome(code, 0.0, "", on_data.sqnr_db, photographs_sqnr_db, evaluation, search)
        seconds = round(time.monotonic() - start, 1)
        return replace(made, seconds=seconds, commit=self.origin.commit, machine=self.origin.machine)

    def _export(self, request: _Request, reporter: Reporter) -> Artifact:
        """In a process of its own, so that a converter that crashes costs one cell. Raises EdgedeployError."""
        output = self.folder / request.folder / request.target
        command = module_command(
            "edgedeploy", "export", request.model, "--target", request.target, *request.options,
            "--allow-low-parity", "--output", str(output),
        )  # fmt: skip
        with reporter.stage(f"export {request.model} to {request.target}"):
            done = subprocess.run(
                command, capture_output=True, text=True, env=child_environment(), stdin=subprocess.DEVNULL, check=False
            )
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
            raise EdgedeployError(lines[0].removeprefix("error: ") if lines else f"exit code {done.returncode}")
        name = efficientnet_lite0.FOLDER if request.own else request.model
        return Artifact.load(output / name / request.target)
