"""The float network of an artifact, made again from what its manifest says, and checked against its stored outputs.

A manifest is a file like any other: code that it names is not run. A network of the user's own has to be named again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgedeploy.core.artifact import NHWC, Artifact, Golden
from edgedeploy.core.errors import ArtifactInvalid, UsageError
from edgedeploy.core.parity import Array
from edgedeploy.core.recipe import Preparation
from edgedeploy.core.reporter import Reporter
from edgedeploy.core.spec import TensorSpec
from edgedeploy.pipeline.export import ExportOptions, stages
from edgedeploy.pipeline.export.options import NUM_CALIB

if TYPE_CHECKING:
    from torch import fx

LIBRARIES = ("timm:", "torchvision:")
SAME_NETWORK = 1e-3  # largest difference of the outputs in σ; another machine's kernels round otherwise


@dataclass(frozen=True)
class NetworkSource:
    """Where the float network of an artifact is to be taken from, where that is not what its manifest says.

    Attributes:
        model: as `export` takes it.
        weights: a checkpoint's file.
        calib: the folder of images that an export with random weights used.
    """

    model: str | None = None
    weights: str | None = None
    calib: str | None = None


def rewritten_network(artifact: Artifact, golden: Golden, source: NetworkSource, reporter: Reporter) -> fx.GraphModule:
    """The network after the rewrites of the artifact's export.

    Raises UsageError where the network has to be named, ArtifactInvalid where it is another one than was exported, and
    whatever loading raises.
    """
    manifest = artifact.manifest
    provenance = manifest.provenance
    if Preparation.EQUALIZE_CHANNELS in provenance.recipe.prepare:
        raise UsageError(
            f"{artifact} cannot be compared with its network: its recipe has equalized channels before quantization",
            details=[f"recipe {provenance.recipe}: tensors on the way have other scales than the network's"],
            hint="compare it with a float file that was exported alike: verify --layers FLOAT INT8",
        )
    model = source.model or _known_name(artifact)
    weights = source.weights or (provenance.weights.file if provenance.weights.kind == "checkpoint" else None)
    is_own = "model" in provenance.source
    shapes = [_in_network_form(spec) for spec in manifest.inputs]
    image = len(shapes) == 1 and len(shapes[0]) == 4 and not is_own
    options = ExportOptions(
        weights=weights,
        input_size=(shapes[0][2], shapes[0][3]) if image else None,
        inputs=tuple("x".join(map(str, shape)) for shape in shapes) if is_own and not model.endswith(".pt2") else (),
        num_classes=provenance.weights.num_classes if provenance.weights.kind == "random" else None,
        head=provenance.head,
        calib=source.calib,
        num_calib=provenance.calibration.count if provenance.calibration else NUM_CALIB,
    )
    quiet = _Quiet(reporter)
    with reporter.stage(f"make {model} again"):
        network = stages.load(model, options, quiet)
        calibration = stages.calibrate(network, (), options, quiet)
        prepared = stages.prepare(network, calibration, options, quiet)
    _check_same(artifact, golden, prepared.golden)
    with reporter.stage("rewrite it"):
        return stages.rewrite(prepared, [outcome.rewrite for outcome in provenance.rewrites]).module


def _known_name(artifact: Artifact) -> str:
    """The name of a network whose making runs no code but that of this project and of known libraries."""
    source = artifact.manifest.provenance.source
    model = source.get("model", artifact.manifest.model)
    if "model" in source and not model.startswith(LIBRARIES):
        raise UsageError(
            f"{artifact} was made of a network of its author's own, which is not loaded unasked",
            details=[f"the manifest calls it {model}"],
            hint=f"--model {model}, which runs its code; or compare two files: verify --layers FLOAT INT8",
        )
    return model


def _in_network_form(spec: TensorSpec) -> tuple[int, ...]:
    if spec.layout != NHWC:
        return spec.shape
    batch, height, width, channels = spec.shape
    return batch, channels, height, width


def _check_same(artifact: Artifact, stored: Golden, made: Golden) -> None:
    """Raises ArtifactInvalid where the network does not give the stored outputs for the stored inputs."""
    same_inputs = _differences(stored.inputs[0], made.inputs[0])
    same_outputs = _differences(stored.outputs[0], made.outputs[0])
    if not max(same_inputs, same_outputs) < SAME_NETWORK:
        raise ArtifactInvalid(
            f"the network that was made again is not the one that {artifact} was exported from",
            details=[f"its outputs for the same input differ by {same_outputs:.2g} σ"],
            hint="name what the export had: --model, --weights, --calib; or compare two files: verify --layers FLOAT INT8",
        )


def _differences(left: Sequence[Array], right: Sequence[Array]) -> float:
    if [array.shape for array in left] != [array.shape for array in right]:
        return float("inf")
    pairs = zip(left, right, strict=True)
    return max(float(np.abs(a - b).max()) / (float(a.astype(np.float64).std()) or 1.0) for a, b in pairs)


class _Quiet:
    """A reporter without the notes that belong to an export."""

    def __init__(self, reporter: Reporter) -> None:
        self.stage, self.advance, self.detail = reporter.stage, reporter.advance, reporter.detail

    def note(self, text: str) -> None:
        """Nothing: the export has said it."""
