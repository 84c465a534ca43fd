"""What the outputs of an int8 file miss on average: the bias of the layer that gives them takes it.

A part of what rounding changes is the same for every image, most of all where values hardly vary from one image to the
next. It can be measured: the file runs on calibration samples, and its outputs are compared with the float network's. At
run time the correction costs nothing.

The mean over a few samples has an error of its own. So it is shrunk toward zero by the share that chance explains, after
James and Stein, Estimation with Quadratic Loss, 1961: closer to the true mean wherever there are four channels or more.

After Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019, appendix D, here at the
last layer alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgedeploy.exporters.job import ExportJob, Sample

Array = NDArray[Any]
L = TypeVar("L")
SAMPLES = 32


def correct_outputs(
    job: ExportJob,
    layers: Mapping[int, L],
    run: Callable[[Sample], Sequence[Array]],
    add_to_bias: Callable[[L, Array], None],
) -> int:
    """Adds to the biases of the layers that give outputs what these lack on average; returns how many outputs change.

    Args:
        layers: by the output's number.
        run: the file's outputs, in float, for a calibration sample.
        add_to_bias: adds (channels,) to a layer's bias.
    """
    corrections = output_corrections(job, run) if layers else {}
    changed = [index for index in layers if index in corrections and corrections[index].any()]
    for index in changed:
        add_to_bias(layers[index], corrections[index])
    return len(changed)


def output_corrections(job: ExportJob, run: Callable[[Sample], Sequence[Array]]) -> dict[int, Array]:
    """What the file's outputs of the shape (batch, channels) lack on average, (channels,), by the output's number.

    Args:
        job: without expected outputs, or with those of other outputs, nothing is known.
        run: the file's outputs, in float, for a calibration sample.
    """
    samples = job.calibration[:SAMPLES]
    expected = job.expected_outputs(len(samples)) if job.expected_outputs else ()
    if not expected:
        return {}
    given = [run(sample) for sample in samples]
    if [array.shape for array in given[0]] != [array.shape for array in expected[0]]:
        return {}
    missing = {
        index: np.concatenate([ours[index] - theirs[index] for ours, theirs in zip(expected, given, strict=True)])
        for index, output in enumerate(expected[0])
        if output.ndim == 2 and np.issubdtype(output.dtype, np.floating)
    }
    return {index: shrunk_mean(errors) for index, errors in missing.items() if np.isfinite(errors).all()}


def shrunk_mean(errors: Array) -> Array:
    """The mean error of each channel, less what chance explains of it; zeros for a single sample.

    Args:
        errors: (samples, channels).
    """
    mean, count = errors.mean(0, dtype=np.float64), len(errors)
    if count < 2:
        return np.zeros_like(mean)
    by_chance = errors.var(0, dtype=np.float64, ddof=1).sum() / count
    power = np.square(mean).sum()
    return mean * max(0.0, 1.0 - by_chance / power) if power else mean
