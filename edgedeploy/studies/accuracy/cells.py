"""The cells of the study: a trained network on an int8 target, exported with the default recipe and evaluated.

The held-out images and those for calibration are written once, as PNG files in the layouts that users have, so that the
study goes through the same doors as they do: `export --weights --calib` and `evaluate --data`.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

from edgedeploy.core.artifact import Artifact
from edgedeploy.core.child_processes import child_environment, module_command
from edgedeploy.core.errors import EdgedeployError
from edgedeploy.core.parity import worst
from edgedeploy.core.reporter import Reporter
from edgedeploy.core.results.evaluation import Evaluation
from edgedeploy.core.storage.cache import key_of
from edgedeploy.core.storage.files import sha256_of, staged_folder
from edgedeploy.models.zoo import ZOO
from edgedeploy.pipeline.evaluate import evaluate
from edgedeploy.studies.results import Origin
from edgedeploy.studies.zoo_matrix.cells import Cell, fingerprint

from .digits import Split, write_class_folders, write_images_and_masks
from .networks import CALIBRATION_IMAGES, HELD_OUT_IMAGES, VERSION, TrainedNetwork

TARGETS = ("onnx-int8", "executorch-int8", "tflite-int8")
SEED = 1


@dataclass(frozen=True)
class Outcome:
    """What came out of one network on one target.

    Attributes:
        fingerprint: of the exporting code and of the trained weights.
        seconds: of export and evaluation.
        error: in one line, or "".
        sqnr_db: of the worst output, on the held-out photographs of every export; None where outputs are equal.
        evaluation: of the artifact beside the float network.
        commit, machine: what made it.
    """

    fingerprint: str
    seconds: float
    error: str = ""
    sqnr_db: float | None = None
    evaluation: Evaluation | None = None
    commit: str = ""
    machine: str = ""


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
        final = self.folder / "data" / f"{split}-{kind}-{network.side}-{VERSION}"
        if not final.is_dir():
            count = HELD_OUT_IMAGES if split == "held-out" else CALIBRATION_IMAGES
            write = write_images_and_masks if masks else write_class_folders
            with staged_folder(final, lambda folder: set()) as stage:
                write(stage, split, network.side, count, SEED)
        return final

    def outcome(self, network: TrainedNetwork, target: str, checkpoint: Path, reporter: Reporter) -> Outcome:
        """Exports and evaluates one cell; an error is recorded and not raised."""
        start = time.monotonic()
        code = self.fingerprint(network, target, checkpoint)
        try:
            artifact = self._export(network, target, checkpoint, reporter)
            evaluation = evaluate(artifact.folder, self.data(network, "held-out"), reporter=reporter)
        except EdgedeployError as error:
            made = Outcome(code, 0.0, error.message)
        else:
            parity = worst(artifact.manifest.parity)
            made = Outcome(code, 0.0, "", parity.sqnr_db if parity else None, evaluation)
        seconds = round(time.monotonic() - start, 1)
        return replace(made, seconds=seconds, commit=self.origin.commit, machine=self.origin.machine)

    def fingerprint(self, network: TrainedNetwork, target: str, checkpoint: Path) -> str:
        """Of all that decides a cell."""
        family = ZOO[network.model].family
        return key_of([fingerprint(Cell(network.model, family, target)), sha256_of(checkpoint), network.key])

    def _export(self, network: TrainedNetwork, target: str, checkpoint: Path, reporter: Reporter) -> Artifact:
        """In a process of its own, so that a converter that crashes costs one cell. Raises EdgedeployError."""
        output = self.folder / "artifacts"
        command = module_command(
            "edgedeploy", "export", network.model, "--target", target, "--weights", str(checkpoint),
            "--input-size", str(network.side), "--calib", str(self.data(network, "train")),
            "--allow-low-parity", "--output", str(output),
        )  # fmt: skip
        with reporter.stage(f"export {network} to {target}"):
            done = subprocess.run(
                command, capture_output=True, text=True, env=child_environment(), stdin=subprocess.DEVNULL, check=False
            )
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
            raise EdgedeployError(lines[0].removeprefix("error: ") if lines else f"exit code {done.returncode}")
        return Artifact.load(output / network.model / target)
