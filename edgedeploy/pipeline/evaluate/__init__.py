"""evaluate: accuracy on labelled data, of an artifact in its real runtime beside the eager float network.

options.py         what an evaluation can be asked for
networks.py        what is evaluated: the artifact, the float network that it was made of
outcomes.py        what is kept of each image
scores.py          from all outcomes to figures with intervals
progress_file.py   the images that are done, so that a stopped evaluation goes on
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from edgedeploy.core.artifact import Artifact, add_evaluation
from edgedeploy.core.errors import UsageError, first_line
from edgedeploy.core.parity import Array
from edgedeploy.core.provenance import SkippedImage
from edgedeploy.core.reporter import NullReporter, Reporter
from edgedeploy.core.results.evaluation import Evaluation
from edgedeploy.core.storage.arrays import chunks
from edgedeploy.core.storage.files import sha256_of
from edgedeploy.data.labelled import LabelledImage, LabelledSet, read_labelled_set, read_mask
from edgedeploy.data.preprocessing import preprocess, read_image

from .networks import Evaluated, EvaluatedArtifact, EvaluatedFloat, FloatOptions, float_network_of
from .options import EvaluateKeywords, EvaluateOptions
from .outcomes import ImageResult, Judge, Target
from .progress_file import ProgressFile
from .scores import scores_of

__all__ = ["EvaluateKeywords", "EvaluateOptions", "evaluate"]


def evaluate(
    subject: str | Path, data: str | Path, *, reporter: Reporter | None = None, **options: Unpack[EvaluateKeywords]
) -> Evaluation:
    """Evaluates an artifact beside its float network, or a float network alone, on the images of a folder.

    The result of an artifact is also written into its manifest. A stopped evaluation goes on when it is called again.

    Args:
        subject: an artifact's folder, manifest or file; or a network's name as `export` takes it.
        data: a folder of labelled images; `edgedeploy.data.labelled` has the layouts.
        options: the fields of EvaluateOptions.

    Raises UsageError, ArtifactInvalid, ModelInvalid, RunnerFailed, a DeviceError.
    """
    chosen, reporter = EvaluateOptions(**options), reporter or NullReporter()
    if not _is_artifact(str(subject)):
        return _evaluate_float(str(subject), Path(data), chosen, reporter)
    from edgedeploy.benchmarks.executors import open_executor

    chosen.check_for_artifact()
    artifact = Artifact.load(Path(subject))
    labelled = read_labelled_set(Path(data)).first(chosen.limit)
    network = float_network_of(artifact, FloatOptions(chosen.model, chosen.weights), reporter)
    beside = None if network is None else EvaluatedFloat(network)
    with open_executor(chosen.device) as executor:
        evaluated = EvaluatedArtifact(artifact, executor, chosen.threads, reporter)
        run = _Run(evaluated, beside, labelled, _judge(evaluated, chosen), reporter)
        results = run.results(chosen.metric)
        manifest = artifact.manifest
        of = _Subject(manifest.model, manifest.target, manifest.sha256, executor.info.name)
    made = _record(run, results, chosen, of)
    add_evaluation(artifact.folder, made)
    run.progress(chosen.metric).remove()
    return made


def _is_artifact(subject: str) -> bool:
    """A path is an artifact's, unless it names a program or code; so is one that does not exist."""
    if subject.endswith(".pt2") or ":" in subject:
        return False
    return "/" in subject or Path(subject).exists()


def _evaluate_float(model: str, data: Path, options: EvaluateOptions, reporter: Reporter) -> Evaluation:
    from edgedeploy.models.loading import LoadOptions, load_network

    options.check_for_float()
    labelled = read_labelled_set(data).first(options.limit)
    network = load_network(model, LoadOptions(options.weights, options.input_size, tuple(options.inputs)), reporter)
    if network.random:
        reporter.note(
            f"{network.name} has random weights: its accuracy means nothing; give trained ones with --weights FILE"
        )
    evaluated = EvaluatedFloat(network)
    run = _Run(evaluated, None, labelled, _judge(evaluated, options), reporter)
    results = run.results(options.metric)
    made = _record(run, results, options, _Subject(network.name, "", network.weights.sha256, "float"))
    run.progress(options.metric).remove()
    return made


@dataclass(frozen=True)
class _Subject:
    """What was evaluated, as the record has it."""

    model: str
    target: str
    sha256: str
    device: str


def _judge(evaluated: Evaluated, options: EvaluateOptions) -> Judge:
    if options.metric is None:
        return Judge(evaluated.size)
    from edgedeploy.models.loading.factories import load_function

    metric, folder = load_function(options.metric)
    return Judge(evaluated.size, metric, folder)


@dataclass(frozen=True)
class _Run:
    """One evaluation: every image through one or two networks, in chunks."""

    evaluated: Evaluated
    beside: Evaluated | None
    data: LabelledSet
    judge: Judge
    reporter: Reporter

    def progress(self, metric: str | None) -> ProgressFile:
        """The file of what is done. A changed metric file, network or data set begins anew."""
        code = ""
        if metric is not None:
            file = Path(metric.rpartition(":")[0])
            code = f"{metric} {sha256_of(file) if file.is_file() else ''}"
        other = self.beside.identity if self.beside else ""
        return ProgressFile((self.evaluated.identity, other, self.data.sha256, self.data.layout, code))

    def results(self, metric: str | None) -> list[ImageResult]:
        """One for each image, in the data's order; those of an earlier call are not made again."""
        file = self.progress(metric)
        known = {name: result for name, result in file.read().items() if not result.skipped}
        left = [image for image in self.data.images if image.name not in known]
        total, done = len(self.data.images), len(self.data.images) - len(left)
        if done:
            self.reporter.note(f"{done} of {total} images were evaluated before; the others follow")
        with self.reporter.stage(f"evaluate {self.evaluated.name} on {self.data.folder}"):
            for chunk in chunks(left, self.evaluated.chunk):
                made = self._chunk(chunk)
                file.add(made)
                known.update({result.name: result for result in made})
                done += len(chunk)
                self.reporter.advance(done, total)
        return [known[image.name] for image in self.data.images]

    def _chunk(self, chunk: Sequence[LabelledImage]) -> list[ImageResult]:
        read: dict[str, tuple[Array, Target]] = {}
        skipped = []
        for image in chunk:
            try:
                read[image.name] = self._read(image)
            except Exception as error:  # Pillow raises many kinds for a damaged file; it is named and left out
                reason = first_line(error)
                self.reporter.note(f"{image.name} is skipped: {reason}")
                skipped.append(ImageResult(image.name, skipped=reason))
        if not read:
            return skipped
        images = [array for array, _ in read.values()]
        outputs = self.evaluated.run(images)
        others = self.beside.run(images) if self.beside else [None] * len(images)
        results = []
        for (name, (_, target)), mine, theirs in zip(read.items(), outputs, others, strict=True):
            outcome = self.judge.outcome(mine, target)
            if theirs is None:
                results.append(ImageResult(name, outcome))
            else:
                agreement = self.judge.agreement(mine, theirs)
                results.append(ImageResult(name, outcome, self.judge.outcome(theirs, target), agreement))
        return results + skipped

    def _read(self, image: LabelledImage) -> tuple[Array, Target]:
        size, preprocessing = self.evaluated.size, self.evaluated.preprocessing
        pixels = preprocess(read_image(image.path), size, preprocessing)
        if image.mask is not None:
            return pixels, read_mask(image.mask, self.data.layout, size, preprocessing)
        return pixels, image.path if image.label is None else image.label


def _record(run: _Run, results: Sequence[ImageResult], options: EvaluateOptions, of: _Subject) -> Evaluation:
    skipped = tuple(SkippedImage(result.name, result.skipped) for result in results if result.skipped)
    scored = len(results) - len(skipped)
    if not scored:
        raise UsageError(
            f"none of the {len(results)} images of {run.data.folder} could be read",
            details=[f"{image.file}: {image.reason}" for image in skipped[:5]],
        )
    scores = scores_of(results, (options.metric or "").rpartition(":")[2])
    if not scores:
        raise UsageError(
            f"{run.data.folder} has no labels, and there is no float network to agree with",
            hint="a folder for each class, or images/ and masks/; or --weights FILE to compare with the float network",
        )
    return Evaluation(
        model=of.model,
        target=of.target,
        artifact_sha256=of.sha256,
        data=str(run.data.folder),
        data_sha256=run.data.sha256,
        layout=run.data.layout,
        device=of.device,
        runtime=run.evaluated.runtime,
        images=scored,
        skipped=skipped,
        scores=scores,
        evaluated_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        limit=options.limit,
    )
