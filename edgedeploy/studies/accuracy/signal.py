"""How faithful an artifact is on images of the study: its outputs against those of the float network."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgedeploy.core.artifact import Artifact
from edgedeploy.core.errors import UsageError
from edgedeploy.core.parity import Parity, compare, worst
from edgedeploy.core.reporter import Reporter
from edgedeploy.data.labelled import read_labelled_set
from edgedeploy.data.preprocessing import preprocess, read_image
from edgedeploy.pipeline.evaluate.networks import EvaluatedArtifact, EvaluatedFloat, FloatOptions, float_network_of

IMAGES = 220


def parity_on(artifact: Artifact, data: Path, model: str | None, reporter: Reporter) -> Parity:
    """Of the worst output, over as many images of each class as IMAGES allow.

    Args:
        model: names the code of the float network, where it is none of the zoo's.

    Raises UsageError where the float network is not at hand, and what running the artifact raises.
    """
    from edgedeploy.benchmarks.executors import open_executor

    network = float_network_of(artifact, FloatOptions(model), reporter)
    if network is None:
        raise UsageError(f"the float network of {artifact} is not at hand")
    with open_executor("local") as executor:
        made, reference = EvaluatedArtifact(artifact, executor, 1, reporter), EvaluatedFloat(network)
        files = [image.path for image in read_labelled_set(data).first(IMAGES).images]
        images = [preprocess(read_image(file), made.size, made.preprocessing) for file in files]
        outputs = zip(zip(*reference.run(images), strict=True), zip(*made.run(images), strict=True), strict=True)
    found = worst([compare(np.concatenate(ours), np.concatenate(theirs), class_axis=1) for ours, theirs in outputs])
    assert found is not None, "a network has an output"
    return found
