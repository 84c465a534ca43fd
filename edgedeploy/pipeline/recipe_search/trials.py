"""A recipe in, its quality out: each recipe is lowered and run once in the real runtime, and what was found is kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgedeploy.core.artifact import Golden
from edgedeploy.core.parity import Parity, worst
from edgedeploy.core.recipe import Observer, Preparation, QuantRecipe
from edgedeploy.core.storage.files import sha256_of
from edgedeploy.pipeline.export import stages
from edgedeploy.pipeline.export.eager_outputs import drawn_samples, golden_of
from edgedeploy.pipeline.verification import in_file_form, parity_of

from .labelled import Accuracy, LabelledImages, Samples

if TYPE_CHECKING:
    from edgedeploy.benchmarks.executors import Workload
    from edgedeploy.exporters.job import Lowered, SharedWork
    from edgedeploy.exporters.targets import Target
    from edgedeploy.models.preparation import SensitiveLayer
    from edgedeploy.models.rewrites import RewrittenModule

NUM_IMAGES = 8
SEED = 2_000_003  # neither the crops of the calibration nor those that parity is measured on at the end


@dataclass(frozen=True)
class Trial:
    """A recipe that was tried.

    Attributes:
        parity: of its worst output, on images that were not calibrated on.
        path: of its file.
        record: the exporter's.
        in_float: layers that the recipe leaves in float because of their weights.
    """

    recipe: QuantRecipe
    parity: Parity
    path: Path
    record: Lowered
    in_float: tuple[SensitiveLayer, ...] = ()

    @property
    def noise(self) -> float:
        """The error's power over the signal's: what SQNR is the logarithm of. It adds up over independent errors."""
        return float(10 ** (-self.parity.sqnr / 10))


class Trials:
    """Tries recipes on one network for one target.

    Args:
        prepared, rewritten, target: as `stages.lower` takes them.
        labelled: images to measure the accuracy on, if any; only trials that it is asked of are run on them.
        shared: intermediate results of the export.
    """

    def __init__(
        self,
        prepared: stages.PreparedNetwork,
        rewritten: RewrittenModule,
        target: Target,
        shared: SharedWork,
        labelled: LabelledImages | None = None,
    ) -> None:
        self.prepared, self.rewritten, self.target, self._shared = prepared, rewritten, target, shared
        self.labelled = labelled
        self._images = _held_out(prepared)
        self._done: dict[object, Trial] = {}
        self._adjusted: dict[object, stages.AdjustedNetwork] = {}
        self._accuracies: dict[Path, Accuracy] = {}

    @property
    def count(self) -> int:
        """How many artifacts were made."""
        return len(self._done)

    def adjusted(self, recipe: QuantRecipe) -> stages.AdjustedNetwork:
        """The network as the recipe prepares it; made once for each preparation."""
        # weights and biases are prepared for int8 where a layer is in int8; equalized channels serve all exceptions
        depends_on_rules = recipe.min_layer_sqnr_db is not None or any(
            step is not Preparation.EQUALIZE_CHANNELS for step in recipe.prepare
        )
        formats = recipe.observing(Observer.MIN_MAX).rules  # ranges of activations change no weights
        key = (recipe.prepare, recipe.min_layer_sqnr_db, formats if depends_on_rules else ())
        if key not in self._adjusted:
            self._adjusted[key] = stages.adjust(self.prepared, self.rewritten, recipe)
        made = self._adjusted[key]
        return replace(made, recipe=recipe.excluding(*(layer.module for layer in made.in_float)))

    def __call__(self, recipe: QuantRecipe) -> Trial:
        """Lowers and runs a recipe, if that was not done before. Raises ExportFailed, RunnerFailed."""
        key = replace(recipe, name="")
        if key not in self._done:
            self._done[key] = self._try(recipe)
        return self._done[key]

    def accuracy_of(self, trial: Trial) -> Accuracy | None:
        """Top-1 on the labelled images, measured once for each trial; None without any. Raises RunnerFailed."""
        if self.labelled is None:
            return None
        if trial.path not in self._accuracies:
            self._accuracies[trial.path] = self.labelled.accuracy(
                lambda samples: self._run(trial.path, trial.record, samples)
            )
        return self._accuracies[trial.path]

    def _try(self, recipe: QuantRecipe) -> Trial:
        folder = self._shared.scratch / f"trial_{self.target.name}_{self.count}"
        folder.mkdir()
        adjusted = self.adjusted(recipe)
        target = replace(self.target, recipe=adjusted.recipe)
        lowered = stages.lower(self.prepared, adjusted.rewritten, target, stages.LowerOptions(folder, self._shared))
        outputs = self._run(lowered.path, lowered.record, self._images.inputs)
        parity = worst(parity_of(self._images, outputs, lowered.record.outputs))
        assert parity is not None
        return Trial(recipe, parity, lowered.path, lowered.record, adjusted.in_float)

    def _run(self, path: Path, record: Lowered, samples: Samples) -> Samples:
        from edgedeploy.benchmarks.executors import RunOptions
        from edgedeploy.benchmarks.executors.python_process import run_in_python

        options = RunOptions(warmup_runs=0, num_runs=0)
        return run_in_python(self.target.runtime, path, in_file_form(samples, record.inputs), options).outputs

    def workload(self, trial: Trial) -> Workload:
        """What an executor runs for a trial."""
        from edgedeploy.benchmarks.executors import Workload

        return Workload(
            name=f"{self.prepared.network.name}/{self.target}",
            runtime=self.target.runtime,
            path=trial.path,
            sha256=sha256_of(trial.path),
            inputs=in_file_form(self._images.inputs[:1], trial.record.inputs),
            operators=trial.record.operators,
        )


def _held_out(prepared: stages.PreparedNetwork) -> Golden:
    """Inputs of the search, and what the eager network with its head returns for them."""
    samples = drawn_samples(prepared.network, NUM_IMAGES, crop_seed=SEED, number_seed=SEED)
    return golden_of(prepared.network, prepared.head, samples)
