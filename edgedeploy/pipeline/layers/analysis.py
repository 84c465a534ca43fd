"""The error of each operator of a file: its own, and what it inherits.

Each operator is run twice, alone, in the file's runtime. Once with the float network's values as its inputs: what its
output then lacks is its **own** error. Once with the file's own values: the difference between the two is what the
operator **inherits** from the errors of those before it. Own and inherited error add up to the total one.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgedeploy.core.errors import RunnerFailed
from edgedeploy.core.parity import LARGEST, Array
from edgedeploy.core.results.layers import LayerError

from .matching import Arrangement, Matcher
from .reference import Reference
from .steps import Step, StepFile

# Two float tensors are the same from this correlation on, two of which one is quantized from the other one.
LEAST_FLOAT, LEAST_QUANTIZED = 0.9999, 0.99
# An operator parts from the float network where its largest own error is above this, in σ, ...
FLOAT_LIMIT = 1e-4
# ... or in int8 where its worst channel has this much more noise than half of all operators, in dB, and a ratio below the
# first bound, or below the second one whatever the others have; or where so large a share of its values does not fit and
# the whole tensor's ratio is below the first bound.
OUTLIER_DB, NOISE_FLOOR_DB, BROKEN_DB, CLIPPED = 12.0, 20.0, 8.0, 0.02
# Errors below this, in what reads them, have vanished.
HARMLESS_DB, HARMLESS_FLOAT_DB = 45.0, 90.0
ADDITIVE = re.compile("add|sub", re.I)


@dataclass(frozen=True)
class Analysis:
    """The operators that could be compared, how many could not, and the file's own outputs."""

    layers: tuple[LayerError, ...]
    without_counterpart: int
    outputs: tuple[Array, ...]


@dataclass
class _Tensor:
    """A tensor of the file.

    Attributes:
        expected: the float network's value; where it has none, what the operators make of those that it has.
        actual: the file's own value.
        nearest: the tensors of the float network that it is, or is computed from.
        before: the operators since these.
    """

    expected: Array
    actual: Array
    nearest: tuple[Arrangement, ...]
    before: tuple[str, ...] = ()


def analyse(file: StepFile, reference: Reference, channels_last: Sequence[bool]) -> Analysis:
    """Runs the operators one by one, in this process.

    Args:
        channels_last: for each input whether the file takes NHWC where the reference has NCHW.

    Raises RunnerFailed, which names the operator that its runtime refuses.
    """
    quantized = any(file.limits(name) is not None for step in file.steps for name in step.outputs)
    matcher = Matcher(reference, LEAST_QUANTIZED if quantized else LEAST_FLOAT)
    tensors: dict[str, _Tensor] = {}
    for index, (name, moved) in enumerate(zip(file.inputs, channels_last, strict=True)):
        arrangement = Arrangement(index, "last" if moved else "same")
        value = np.moveaxis(reference.values[index], 1, -1) if moved else reference.values[index]
        tensors[name] = _Tensor(value, value, (arrangement,))
    readers = Counter(name for step in file.steps for name in step.inputs)
    layers: dict[str, LayerError] = {}  # by their outputs, as the powers are: of the signal, and of the own error
    powers: dict[str, tuple[float, float]] = {}
    alone = 0
    for step in file.steps:
        inputs = [tensors[name] for name in step.inputs]
        expected, actual = _run(file, step, inputs)
        nearest = tuple(dict.fromkeys(found for tensor in inputs for found in tensor.nearest))
        before = tuple(dict.fromkeys(name for tensor in inputs for name in tensor.before))
        for name, forced, free in zip(step.outputs, expected, actual, strict=True):
            found = matcher.find(forced, step, nearest, len(before))
            if found is None:
                alone += 1
                tensors[name] = _Tensor(forced, free, nearest, (*before, f"{step.type} at {step.module or step.name}"))
                continue
            value = matcher.arranged(found, forced.shape)
            errors = [matcher.in_reference_form(array, found) for array in (forced, free)]
            fact = reference.facts[found.index]
            layers[name] = _layer(step, fact.name, reference.values[found.index], errors, file.limits(name), before)
            powers[name] = _power(value), _power(forced.astype(np.float64) - value)
            tensors[name] = _Tensor(value, free, (found,))
        readers.subtract(step.inputs)
        for name in step.inputs:
            if readers[name] == 0 and name not in file.outputs:
                del tensors[name]  # memory: the values of a whole network are many
    outputs = tuple(tensors[name].actual for name in file.outputs)
    return Analysis(
        tuple(_judged(layers, _harmless(file, layers, powers, quantized=quantized), quantized=quantized)),
        alone,
        outputs,
    )


def _run(file: StepFile, step: Step, inputs: Sequence[_Tensor]) -> tuple[list[Array], list[Array]]:
    try:
        run = file.opened(step, [tensor.expected for tensor in inputs])
        expected = run([tensor.expected for tensor in inputs])
        same = all(tensor.actual is tensor.expected for tensor in inputs)
        return expected, expected if same else run([tensor.actual for tensor in inputs])
    except Exception as error:  # a runtime may raise anything
        raise RunnerFailed(
            f"the runtime refuses {step.type} at {step.module or step.name}, alone",
            details=[line for line in str(error).splitlines() if line.strip()][:4],
            hint="`edgedeploy verify` without --layers compares the outputs of the whole file",
        ) from error


def _layer(
    step: Step,
    reference: str,
    value: Array,
    found: Sequence[Array],
    limits: tuple[float, float] | None,
    before: tuple[str, ...],
) -> LayerError:
    """The errors of an operator's output; `found` are what it makes of the reference's inputs, and of the file's own."""
    exact, forced, free = (array.astype(np.float64) for array in (value, *found))
    power, own = float(np.mean(exact**2)), forced - exact
    outside = 0.0 if limits is None else float(np.mean((exact < limits[0]) | (exact > limits[1])))
    channels = tuple(axis for axis in range(exact.ndim) if axis != (1 if exact.ndim > 2 else exact.ndim - 1))
    held = exact if limits is None else np.clip(exact, *limits)  # what is clipped is a matter of ranges, told apart
    worst = float(np.max(np.mean((forced - held) ** 2, axis=channels))) if exact.size else 0.0
    largest = float(np.max(np.abs(own))) / (float(exact.std()) or 1.0)
    return LayerError(
        step.name,
        step.type,
        step.module,
        reference,
        own_sqnr_db=_db(power, float(np.mean(own**2))),
        own_channel_sqnr_db=_db(power, worst),
        own_error=largest if math.isfinite(largest) else LARGEST,
        inherited_sqnr_db=_db(power, float(np.mean((free - forced) ** 2))),
        total_sqnr_db=_db(power, float(np.mean((free - exact) ** 2))),
        low=float(exact.min()),
        high=float(exact.max()),
        limit_low=None if limits is None else limits[0],
        limit_high=None if limits is None else limits[1],
        clipped=outside,
        before=before,
    )


def _db(signal: float, noise: float) -> float | None:
    if noise == 0.0:
        return None
    if not math.isfinite(noise):
        return -LARGEST
    return 10 * math.log10(max(signal, 1e-300) / noise)


def _harmless(
    file: StepFile, layers: Mapping[str, LayerError], powers: Mapping[str, tuple[float, float]], *, quantized: bool
) -> set[str]:
    """The tensors whose errors vanish in every operator that reads them, such as a branch that hardly adds anything."""
    least = HARMLESS_DB if quantized else HARMLESS_FLOAT_DB
    read: dict[str, bool] = {}
    for step in file.steps:
        compared = all(name in layers for name in step.outputs)
        clean = compared and all(_decibel(layers[name].inherited_sqnr_db) > least for name in step.outputs)
        for name in step.inputs:
            small = clean
            if (
                compared and name in powers and ADDITIVE.fullmatch(step.type)
            ):  # a sum has no larger error than its parts
                small = all(_decibel(_db(powers[output][0], powers[name][1])) > least for output in step.outputs)
            read[name] = read.get(name, True) and small
    return {name for name, vanishes in read.items() if vanishes and name not in file.outputs}


def _power(values: Array) -> float:
    return float(np.mean(np.square(values, dtype=np.float64)))


def _judged(layers: Mapping[str, LayerError], harmless: Collection[str], *, quantized: bool) -> list[LayerError]:
    """The same, with `parts` where an operator's own error stands out and does not vanish."""
    noisy = [_decibel(layer.own_channel_sqnr_db) for layer in layers.values() if layer.own_channel_sqnr_db is not None]
    usual = float(np.median(noisy)) if noisy else math.inf
    bound = max(min(usual - OUTLIER_DB, NOISE_FLOOR_DB), BROKEN_DB)
    return [
        dataclasses.replace(
            layer,
            parts=name not in harmless and (_stands_out(layer, bound) if quantized else layer.own_error > FLOAT_LIMIT),
        )
        for name, layer in layers.items()
    ]


def _stands_out(layer: LayerError, bound: float) -> bool:
    """Noise in its worst channel, or clipping that the whole tensor shows."""
    harmful = layer.clipped > CLIPPED and _decibel(layer.own_sqnr_db) < NOISE_FLOOR_DB
    return harmful or _decibel(layer.own_channel_sqnr_db) < bound


def _decibel(value: float | None) -> float:
    return math.inf if value is None else value
