"""The stages of an export, each a function that takes the result of the ones before it and returns a new one.

    load -> calibrate -> check_calibration (calibration_check.py) -> prepare -> rewrite -> adjust -> lower -> verify

`prepare` completes what does not depend on a target; `rewrite` runs once for each set of rewrites, the rest once for each
target; `adjust` is for recipes that change the float network or leave layers in float. They can be called one by one:

    options = ExportOptions(output="out")
    targets = options.targets("tflite-int8")
    network = load("topformer-tiny", options, reporter)
    calibration = check_calibration(network, calibrate(network, targets, options, reporter), reporter)
    prepared = prepare(network, calibration, options, reporter)
    rewritten = rewrite(prepared, options.rewrites_of(targets[0]))
    adjusted = adjust(prepared, rewritten, targets[0].recipe)
    rewritten, target = adjusted.rewritten, replace(targets[0], recipe=adjusted.recipe)
    with staged_folder(folder) as stage:
        lowered = lower(prepared, rewritten, target, LowerOptions(stage, shared))
        parities = verify(prepared, target, lowered)
        writing.write(prepared, rewritten, target, lowered, parities)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgedeploy.core.artifact import Golden
from edgedeploy.core.errors import EdgedeployError, UsageError
from edgedeploy.core.parity import Array, Parity
from edgedeploy.core.provenance import CalibrationInfo
from edgedeploy.core.reporter import Reporter
from edgedeploy.core.storage.arrays import Mapped
from edgedeploy.data.arrays import HINT as ARRAYS_HINT
from edgedeploy.data.arrays import holds_arrays, samples_from_arrays
from edgedeploy.data.calibration import CalibrationSet, calibration_from_folder
from edgedeploy.data.photographs import calibration_from_photographs
from edgedeploy.pipeline.verification import constant_outputs, in_file_form, parity_of

from .blame.conversion_errors import explain_capture, explain_lowering, explain_refusal
from .blame.failing_operator import first_failing
from .eager_outputs import held_out_golden, outputs_of
from .options import NUM_CALIB, ExportOptions

if TYPE_CHECKING:
    from edgedeploy.core.provenance import RecipeSearch
    from edgedeploy.core.recipe import QuantRecipe
    from edgedeploy.exporters.job import ExportJob, Lowered, SharedWork
    from edgedeploy.exporters.targets import Target
    from edgedeploy.models.loading import Network
    from edgedeploy.models.preparation import SensitiveLayer
    from edgedeploy.models.rewrites import Rewriter, RewrittenModule

NUM_NORM_IMAGES = 16  # images that a random network's norms are estimated from


@dataclass(frozen=True)
class Calibration:
    """What activation ranges are taken from.

    Attributes:
        images: None where the network takes no image, or nothing needs images.
        samples: one tuple of inputs each, read when they are asked for; empty where no target needs them.
        warnings: what seems wrong with the images.
        arrays: of samples that the user gave as arrays; None for others.
    """

    images: CalibrationSet | None
    samples: Sequence[tuple[Array, ...]]
    warnings: tuple[str, ...] = ()
    arrays: CalibrationInfo | None = None

    @property
    def info(self) -> CalibrationInfo | None:
        """What the manifest keeps of it."""
        if self.images:
            return replace(self.images.info, warnings=self.warnings)
        return self.arrays


@dataclass(frozen=True)
class PreparedNetwork:
    """A network with everything that does not depend on a target.

    Attributes:
        head: see ExportOptions.
        golden: held-out inputs, and what the eager network with its head returns for them.
        macs: multiply-accumulates of one inference.
    """

    network: Network
    head: str
    calibration: Calibration
    golden: Golden
    macs: int

    @property
    def output_names(self) -> tuple[str, ...]:
        """The network's own names, else that of its head."""
        return self.network.output_names or (self.head,)


@dataclass(frozen=True)
class AdjustedNetwork:
    """A rewritten network and a recipe, each as the other asks for.

    Attributes:
        in_float: layers that the recipe leaves in float because of their weights; it has a rule for each.
    """

    rewritten: RewrittenModule
    recipe: QuantRecipe
    in_float: tuple[SensitiveLayer, ...] = ()


@dataclass(frozen=True)
class LowerOptions:
    """Where an artifact's file goes, and what several targets of one export share."""

    folder: Path
    shared: SharedWork
    int8_io: bool = False
    layout: str = "nhwc"


@dataclass(frozen=True)
class LoweredFile:
    """A file that a runtime can open, with the exporter's record of it, and that of the search for its recipe, if any."""

    path: Path
    record: Lowered
    calibrated: bool
    search: RecipeSearch | None = None


def load(model: str, options: ExportOptions, reporter: Reporter) -> Network:
    """The network with its weights, and for `head="features"` with its stage outputs instead of its classes.

    Raises what `load_network` raises, and UsageError for a head that the network does not have.
    """
    from edgedeploy.models.loading import load_network, with_features

    network = load_network(model, options.load_options, reporter)
    if options.head == "features":
        return with_features(network)
    if options.head != "logits" and network.task != "segmentation":
        raise UsageError(f"{network.name} is not a segmentation network: it has no --head {options.head}")
    return network


def calibrate(network: Network, targets: Sequence[Target], options: ExportOptions, reporter: Reporter) -> Calibration:
    """The samples that int8 ranges and random networks' norms come from. Raises CalibrationInvalid, UsageError."""
    size = network.image_size
    quantized = any(target.recipe.needs_calibration for target in targets)
    if options.calib is not None and holds_arrays(Path(options.calib)):
        samples, info = samples_from_arrays(Path(options.calib), network.inputs, options.num_calib)
        images = CalibrationSet(info.name, [image for (image,) in samples]) if size is not None else None
        return Calibration(images, samples if quantized else (), arrays=info)
    if size is None:
        if options.calib is not None:
            raise UsageError(
                f"{network.name} does not take one RGB image: a folder of images cannot calibrate it", hint=ARRAYS_HINT
            )
        if quantized:
            reporter.note(
                f"{network.name} takes no image: int8 ranges come from random inputs, "
                "which show that it lowers, no more; --calib FILE.npz gives your own"
            )
        rng = np.random.default_rng(1)
        return Calibration(None, tuple(tuple(network.draw(rng)) for _ in range(NUM_CALIB)) if quantized else ())
    if options.calib is not None:
        images = _images_from_folder(Path(options.calib), network, size, options.num_calib, reporter)
    elif network.random or quantized:
        images = calibration_from_photographs(size, network.preprocessing, options.num_calib)
        if quantized:
            reporter.note(
                f"int8 ranges come from {len(images)} {images.name}; for a network that ships use your own: --calib DIR"
            )
    else:
        return Calibration(None, ())
    return Calibration(images, Mapped(_alone, images.images) if quantized else ())


def _alone(image: Array) -> tuple[Array, ...]:
    """The inputs of a network that takes one image."""
    return (image,)


def _images_from_folder(
    folder: Path, network: Network, size: tuple[int, int], count: int, reporter: Reporter
) -> CalibrationSet:
    with reporter.stage(f"read calibration images from {folder}"):
        images = calibration_from_folder(folder, size, network.preprocessing, count, reporter.advance)
    for image in images.skipped:
        reporter.note(f"calibration image {image.file} is skipped: {image.reason}")
    reporter.detail(f"{len(images)} images, sha256 {images.sha256[:12]}")
    return images


def prepare(network: Network, calibration: Calibration, options: ExportOptions, reporter: Reporter) -> PreparedNetwork:
    """Completes random weights, then runs the eager network on held-out inputs and counts its MACs."""
    import torch

    from edgedeploy.models.loading import with_random_weights_settled
    from edgedeploy.models.macs import count_macs

    if network.random:
        reporter.note(
            f"{network.name} has random weights (seed {network.weights.seed}); give trained ones with --weights FILE"
        )
        images = None if calibration.images is None else np.concatenate(calibration.images.images[:NUM_NORM_IMAGES])
        with reporter.stage("estimate the norms' statistics"):
            network = with_random_weights_settled(network, images)
    inputs = [torch.from_numpy(array) for array in network.draw(np.random.default_rng(0))]
    with network.running():
        macs = count_macs(network.module, inputs)
        golden = held_out_golden(network, options.head)
    for index in constant_outputs(golden):
        reporter.note(f"output {index} of {network.name} is the same for every input: that it agrees proves nothing")
    return PreparedNetwork(network, options.head, calibration, golden, macs)


def rewriter_of(prepared: PreparedNetwork) -> Rewriter:
    """Captures the bare network, for any number of calls of `rewrite`.

    Raises ExportFailed where torch.export cannot capture the network.
    """
    import torch

    from edgedeploy.models import rewrites

    network = prepared.network
    examples = tuple(torch.from_numpy(array) for array in network.draw(np.random.default_rng(0)))
    samples = [examples, tuple(torch.from_numpy(array) for array in prepared.golden.inputs[0])]
    with network.running():
        try:
            captured = rewrites.capture(network.module, examples)
        except EdgedeployError:
            raise
        except Exception as error:  # torch.export raises many kinds
            raise explain_capture(error, network.name, network.module, examples) from error
    return rewrites.Rewriter(captured, samples)


def rewrite(prepared: PreparedNetwork, names: Sequence[str], rewriter: Rewriter | None = None) -> RewrittenModule:
    """Applies the rewrites of these names to the bare network, so that each is verified on real-valued outputs; then
    adds the head, if there is one, and rewrites that.

    Args:
        rewriter: of this network, where several targets share one.

    Raises ExportFailed where torch.export cannot capture the network, RewriteMismatch where a rewrite is wrong.
    """
    from edgedeploy.models import rewrites
    from edgedeploy.models.adapters.heads import with_head

    rewriter, head = rewriter or rewriter_of(prepared), prepared.head
    chosen = [rewrite for rewrite in rewrites.ALL if rewrite.name in names]
    done = rewriter.apply(chosen)
    if head in ("logits", "features"):  # features are taken in the network itself
        return done
    samples = rewriter.verification_inputs
    tail = rewrites.apply(chosen, rewrites.capture(with_head(done.module, head), samples[0]), samples)
    applied = tuple(outcome for outcome in tail.outcomes if outcome.applied)
    return rewrites.RewrittenModule(tail.module, done.outcomes + applied, done.rounding_error)


def adjust(prepared: PreparedNetwork, rewritten: RewrittenModule, recipe: QuantRecipe) -> AdjustedNetwork:
    """Applies what the recipe does to the float network, and what the network does to the recipe."""
    import torch

    from edgedeploy.exporters.aten_regions import REGION_TYPES
    from edgedeploy.exporters.executorch_operators import operators_of
    from edgedeploy.exporters.regions import find_regions
    from edgedeploy.models.preparation import prepared_for

    if not recipe.reads_samples:
        return AdjustedNetwork(rewritten, recipe)
    # read when they are asked for: a few of perhaps thousands are
    samples = Mapped(lambda sample: tuple(map(torch.from_numpy, sample)), prepared.calibration.samples)
    found = find_regions(operators_of(rewritten.module.graph), REGION_TYPES)
    regions = {str(key): region for key, region in found.items()}
    made = prepared_for(recipe, rewritten.module, samples, regions)
    return AdjustedNetwork(replace(rewritten, module=made.module), made.recipe, made.in_float)


def job_of(prepared: PreparedNetwork, rewritten: RewrittenModule, target: Target, options: LowerOptions) -> ExportJob:
    """What the target's exporter is asked for."""
    import torch

    from edgedeploy.exporters.job import ExportJob
    from edgedeploy.models.adapters.channels_last import channels_last_sample, with_channels_last_images

    calibrated = target.recipe.needs_calibration
    network = prepared.network

    def expected_outputs(count: int) -> Sequence[tuple[Array, ...]]:
        name = f"expected outputs {prepared.head} {count}"
        samples = prepared.calibration.samples[:count]
        return options.shared.once(name, network.module, lambda: outputs_of(network, prepared.head, samples))

    module, example = rewritten.module, tuple(prepared.golden.inputs[0])
    calibration: Sequence[tuple[Array, ...]] = prepared.calibration.samples if calibrated else ()
    layout = "NHWC" if options.layout == "nhwc" and target.backend.channels_last else "NCHW"
    if layout == "NHWC":
        module = options.shared.once("channels last", module, lambda: with_channels_last_images(rewritten.module))
        example = channels_last_sample(example)
        calibration = Mapped(channels_last_sample, calibration)
    return ExportJob(
        module=module,
        example_inputs=tuple(torch.from_numpy(array) for array in example),
        input_names=tuple(spec.name for spec in network.inputs),
        output_names=prepared.output_names,
        recipe=target.recipe,
        calibration=calibration,
        path=options.folder / target.file,
        shared=options.shared,
        integer_io=options.int8_io and calibrated,
        layout=layout,
        expected_outputs=expected_outputs if calibrated else None,
    )


def lower(prepared: PreparedNetwork, rewritten: RewrittenModule, target: Target, options: LowerOptions) -> LoweredFile:
    """Writes the target's file. Raises ExportFailed in the user's words, whatever the converter raised."""
    from edgedeploy.exporters.job import FileRefused

    job = job_of(prepared, rewritten, target, options)
    try:
        return LoweredFile(job.path, target.exporter()(job), target.recipe.needs_calibration)
    except (EdgedeployError, OSError, KeyboardInterrupt):
        raise
    except FileRefused as refusal:
        raise explain_refusal(refusal, target, prepared.network.name, job.module) from refusal
    except Exception as error:  # a converter may raise anything; it is reported in the user's words
        raise explain_lowering(
            error,
            target.name,
            prepared.network.name,
            options.shared.log,
            job.module,
            lambda: first_failing(job, target.exporter()),
        ) from error


def verify(prepared: PreparedNetwork, target: Target, lowered: LoweredFile) -> tuple[Parity, ...]:
    """Runs the file in its real runtime on the held-out inputs and compares with the eager network, output by output."""
    return parity_of(prepared.golden, run(prepared, target, lowered), lowered.record.outputs)


def run(prepared: PreparedNetwork, target: Target, lowered: LoweredFile) -> Sequence[Sequence[Array]]:
    """The file's outputs for each held-out input, in its real runtime. Raises RunnerFailed."""
    from edgedeploy.benchmarks.executors import RunOptions
    from edgedeploy.benchmarks.executors.python_process import run_in_python

    inputs = in_file_form(prepared.golden.inputs, lowered.record.inputs)
    return run_in_python(target.runtime, lowered.path, inputs, RunOptions(warmup_runs=0, num_runs=0)).outputs
