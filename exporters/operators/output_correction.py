"""What the outputs of an int8 file are off by on all images alike: the layer that gives them takes it.

A part of what rounding changes is the same for every image. It can be measured: the file runs on calibration samples, and
its outputs are compared with the float network's. Weights and bias of the last layer take it, and at run time it costs
nothing:

    shift    what an output lacks on average, most of all where values hardly vary from one image to the next
    gain     how much too far, or not far enough, the outputs of an image are from their average: a value that many channels
             share, in flat parts of an image, is rounded alike in all of them, and the error grows with the value. Outputs
             of MobileNetV3 with random weights were 2 % too far from it in one file, and 3 % in another whose ranges were
             3 % wider.

Both are measured with an error of their own. So they are shrunk toward none by the share that chance explains, after James
and Stein, Estimation with Quadratic Loss, 1961: closer to the true mean wherever there are four channels or more. The gain
stays 1 where the noise has more than a tenth of the variance over the images: scaling would scale the noise.

After Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019, appendix D, here at the
last layer alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgedeploy.exporters.job import ExportJob, Sample

Array = NDArray[Any]
L = TypeVar("L")
SAMPLES = 32
LEAST_SAMPLES = 8  # for a gain: the spread of fewer says little about its error
MOST_NOISE = 0.1  # of the variance over the images


@dataclass(frozen=True)
class Correction:
    """An output y becomes gain * y + shift; gain a number, shift (channels,)."""

    gain: float
    shift: Array

    def __bool__(self) -> bool:
        return self.gain != 1.0 or bool(self.shift.any())


def correct_outputs(
    job: ExportJob,
    layers: Mapping[int, L],
    run: Callable[[Sample], Sequence[Array]],
    correct: Callable[[L, Correction], None],
) -> int:
    """Corrects the layers that give outputs by what these are off by; returns how many outputs change.

    Args:
        layers: by the output's number.
        run: the file's outputs, in float, for a calibration sample.
        correct: scales a layer's weights and bias by the gain, and adds the shift to the bias.
    """
    corrections = output_corrections(job, run) if layers else {}
    changed = [index for index in layers if corrections.get(index)]
    for index in changed:
        correct(layers[index], corrections[index])
    return len(changed)


def output_corrections(job: ExportJob, run: Callable[[Sample], Sequence[Array]]) -> dict[int, Correction]:
    """What the file's outputs of the shape (batch, channels) are off by, by the output's number.

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
    compared = {
        index: [np.concatenate([outputs[index] for outputs in side], dtype=np.float64) for side in (expected, given)]
        for index, output in enumerate(expected[0])
        if output.ndim == 2 and np.issubdtype(output.dtype, np.floating)
    }
    return {index: correction(*both) for index, both in compared.items() if np.isfinite(both).all()}


def correction(expected: Array, given: Array) -> Correction:
    """What brings the outputs given close to those expected, both (samples, channels)."""
    gain = shrunk_gain(expected, given)
    return Correction(gain, shrunk_mean(expected - gain * given))


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


def shrunk_gain(expected: Array, given: Array) -> float:
    """What outputs are to be scaled by, less what chance explains of it; 1 where samples are few or noisy.

    Args:
        expected, given: (samples, channels).
    """
    ours, theirs = expected - expected.mean(0), given - given.mean(0)
    power = np.square(ours).sum()
    if len(ours) < LEAST_SAMPLES or not power:
        return 1.0
    slope = (ours * theirs).sum() / power
    noise = theirs - slope * ours
    if np.square(noise).sum() > MOST_NOISE * power:
        return 1.0
    by_chance = np.square((noise * ours).sum(1)).sum() / power**2
    excess = slope - 1.0
    return float(1.0 / (1.0 + excess * max(0.0, 1.0 - by_chance / excess**2))) if excess else 1.0
