"""What is evaluated: an artifact in its real runtime, and the eager float network that it was made of."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edgedeploy.core.artifact import NHWC, Artifact, Manifest, from_file, to_file
from edgedeploy.core.errors import EdgedeployError, UsageError
from edgedeploy.core.parity import Array
from edgedeploy.core.provenance import WeightsInfo
from edgedeploy.core.reporter import Reporter
from edgedeploy.core.spec import Preprocessing
from edgedeploy.core.versions import versions

if TYPE_CHECKING:
    from edgedeploy.benchmarks.executors import Executor
    from edgedeploy.models.loading import Network

CHUNK_BYTES = 64 << 20  # of inputs and outputs that are held at a time
CHUNK_IMAGES = 128


class Evaluated(Protocol):
    """A network that takes one image.

    Attributes:
        name: as messages have it.
        size: (height, width) of its input.
        chunk: how many images are given to it at a time.
        identity: what its results depend on, as text.
        runtime: with its version, once it has run.
    """

    name: str
    size: tuple[int, int]
    preprocessing: Preprocessing
    chunk: int
    identity: str
    runtime: str

    def run(self, images: Sequence[Array]) -> list[list[Array]]:
        """The outputs for each image (1, 3, h, w), in the network's own form."""


class EvaluatedArtifact:
    """An artifact in its runtime, here or on a device."""

    def __init__(self, artifact: Artifact, executor: Executor, threads: int, reporter: Reporter) -> None:
        from edgedeploy.benchmarks.executors import RunOptions

        manifest = artifact.manifest
        self.name, self.size = str(artifact), image_size(manifest)
        assert manifest.preprocessing is not None, "image_size raises where there is none"
        self.preprocessing = manifest.preprocessing
        one = sum(spec.size_bytes for spec in (*manifest.inputs, *manifest.outputs))
        emulated = executor.info.kind == "qemu"  # it runs one set of inputs
        self.chunk = 1 if emulated else min(CHUNK_IMAGES, max(1, CHUNK_BYTES // one))
        self.identity = f"{manifest.sha256} on {executor.info.name} with {threads} threads"
        self.runtime = manifest.runtime
        self._artifact, self._executor, self._reporter = artifact, executor, reporter
        self._options = RunOptions(threads=threads, warmup_runs=0, num_runs=0, min_secs=0)

    def run(self, images: Sequence[Array]) -> list[list[Array]]:
        """See Evaluated. Raises RunnerFailed, or a DeviceError."""
        from edgedeploy.benchmarks.executors import Workload

        manifest = self._artifact.manifest
        (spec,) = manifest.inputs
        inputs = [[to_file(image, spec)] for image in images]
        workload = Workload(self.name, manifest.runtime, self._artifact.path, manifest.sha256, inputs)
        self._executor.prepare(workload, self._reporter)
        ran = self._executor.run(workload, self._options, self._reporter)
        self.runtime = f"{ran.runtime} {ran.runtime_version}".strip()
        return [
            [from_file(array, output) for array, output in zip(outputs, manifest.outputs, strict=True)]
            for outputs in ran.outputs
        ]


class EvaluatedFloat:
    """The eager network."""

    runtime = "torch"

    def __init__(self, network: Network) -> None:
        if network.image_size is None:
            raise UsageError(f"{network.name} takes no image, so there is nothing to evaluate it on")
        self.name, self.size, self.preprocessing = network.name, network.image_size, network.preprocessing
        self.chunk = CHUNK_IMAGES
        self.identity = f"float {network.weights.sha256}"
        self.runtime = f"torch {versions().get('torch', '')}".strip()
        self._network = network

    def run(self, images: Sequence[Array]) -> list[list[Array]]:
        """See Evaluated; one image at a time, as the artifact takes them."""
        import torch

        module = self._network.module
        with torch.no_grad(), self._network.running():
            outputs = [module(torch.from_numpy(image)) for image in images]
        return [[t.numpy() for t in torch.utils._pytree.tree_leaves(output)] for output in outputs]


@dataclass(frozen=True)
class FloatOptions:
    """What the user says about the float network: its code or name, and its weights; None for what the manifest has."""

    model: str | None = None
    weights: str | Path | None = None


def image_size(manifest: Manifest) -> tuple[int, int]:
    """(height, width) of an artifact's image. Raises UsageError where it takes none, or returns no classes."""
    (spec, *more) = manifest.inputs
    if more or manifest.preprocessing is None or len(spec.shape) != 4:
        raise UsageError(f"{manifest.model}/{manifest.target} does not take one image, so it cannot be evaluated")
    return (spec.shape[1], spec.shape[2]) if spec.layout == NHWC else (spec.shape[2], spec.shape[3])


def float_network_of(artifact: Artifact, options: FloatOptions, reporter: Reporter) -> Network | None:
    """The float network that the artifact was made of; None where it is not at hand, and a note says why.

    The user's own code runs only where `options.model` names it. Raises UsageError for a network with other weights than
    the artifact's, and what loading raises where the user named something.
    """
    if importlib.util.find_spec("torch") is None:
        reporter.note("the float network is not run beside it: torch is not installed; pip install 'edgedeploy[torch]'")
        return None
    manifest = artifact.manifest
    weights = manifest.provenance.weights
    model = options.model or _zoo_name(manifest)
    if model is None:
        named = manifest.provenance.source.get("model", "the code that made it")
        reporter.note(f"the float network is not run beside it: name it with --model {named}")
        return None
    if weights.kind == "random" and options.weights is None:
        reporter.note(
            f"{manifest.model} has random weights: its accuracy means nothing, and no float network runs beside"
        )
        return None
    try:
        network = _load(
            manifest, model, options.weights or (weights.file if weights.kind == "checkpoint" else None), reporter
        )
    except EdgedeployError as error:
        if options != FloatOptions():
            raise
        reporter.note(f"the float network is not run beside it: {error.message}; --weights FILE names its weights")
        return None
    _check_same(network.weights, weights, model)
    return network


def _zoo_name(manifest: Manifest) -> str | None:
    from edgedeploy.models.zoo import ZOO

    of_the_user = "model" in manifest.provenance.source
    return manifest.model if manifest.model in ZOO and not of_the_user else None


def _load(manifest: Manifest, model: str, weights: str | Path | None, reporter: Reporter) -> Network:
    from edgedeploy.models.loading import LoadOptions, load_network
    from edgedeploy.models.loading.names import parse_name

    size = image_size(manifest)
    is_zoo = parse_name(model).kind == "zoo"
    options = LoadOptions(
        weights=weights,
        input_size=size if is_zoo else None,
        inputs=() if is_zoo or model.endswith(".pt2") else (f"1x3x{size[0]}x{size[1]}",),
        num_classes=manifest.provenance.weights.num_classes if is_zoo else None,
    )
    return load_network(model, options, reporter)


def _check_same(mine: WeightsInfo, made_of: WeightsInfo, model: str) -> None:
    if made_of.sha256 and mine.sha256 and mine.sha256 != made_of.sha256:
        raise UsageError(
            f"{model} does not have the weights that the artifact was made of",
            details=[
                f"the artifact's: {made_of.file or made_of.kind}, sha256 {made_of.sha256[:12]}",
                f"now:            {mine.file or mine.kind}, sha256 {mine.sha256[:12]}",
            ],
            hint="--weights with the file of the export, or export again",
        )
