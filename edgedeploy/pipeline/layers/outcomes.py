"""What a step of a file makes of given inputs, which tensor of the float network that is, and how far it is off."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from edgedeploy.core.errors import RunnerFailed
from edgedeploy.core.parity import LARGEST, Array
from edgedeploy.core.results.layers import LayerError

from .formats.steps import Step, StepFile
from .matching import MOVES, Arrangement, Matcher
from .reference import Reference


class Input(Protocol):
    """An input of a step: see `_Tensor` in analysis.py."""

    @property
    def expected(self) -> Array: ...
    @property
    def actual(self) -> Array: ...
    @property
    def nearest(self) -> tuple[Arrangement, ...]: ...
    @property
    def before(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Found:
    """A tensor of the file as one of the float network.

    Attributes:
        alike: their values are; else only their operators are of one family.
        power, noise: mean squares of the float network's values, and of the own error.
    """

    arrangement: Arrangement
    alike: bool
    layer: LayerError
    power: float
    noise: float


@dataclass(frozen=True)
class Outcome:
    """An output of a step.

    Attributes:
        forced: made of the inputs' expected values.
        free: made of the file's own ones.
        nearest: the tensors of the float network that the inputs are, or are computed from.
        before: the operators since these.
        found: its counterpart; None without one.
        paired: the counterpart's values in the file's form, else `forced`.
    """

    forced: Array
    free: Array
    nearest: tuple[Arrangement, ...]
    before: tuple[str, ...]
    found: Found | None
    paired: Array


@dataclass(frozen=True)
class _Made:
    """An output of a step by its name in the file: see `Outcome`."""

    name: str
    forced: Array
    free: Array


@dataclass(frozen=True)
class _Limits:
    """What values an output can have.

    Attributes:
        stored: where it is quantized.
        read: the same, or those of an input that the operator only moves.
    """

    stored: tuple[float, float] | None
    read: tuple[float, float] | None


def outcomes(file: StepFile, step: Step, matcher: Matcher, cases: Sequence[Sequence[Input]]) -> list[list[Outcome]]:
    """A step's outputs for each case of its inputs; the file's own values are the same in all. Raises RunnerFailed."""
    forced, free = _run(file, step, cases)
    return [
        [
            _outcome(file, step, matcher, inputs, _Made(name, *values))
            for name, *values in zip(step.outputs, made, free, strict=True)
        ]
        for inputs, made in zip(cases, forced, strict=True)
    ]


def _run(file: StepFile, step: Step, cases: Sequence[Sequence[Input]]) -> tuple[list[list[Array]], list[Array]]:
    """The outputs for the expected values of each case, and for the file's own."""
    try:
        run = file.opened(step, [tensor.expected for tensor in cases[0]])
        forced = [run([tensor.expected for tensor in inputs]) for inputs in cases]
        same = all(tensor.actual is tensor.expected for tensor in cases[0])
        return forced, forced[0] if same else run([tensor.actual for tensor in cases[0]])
    except Exception as error:  # a runtime may raise anything
        raise RunnerFailed(
            f"the runtime refuses {step.type} at {step.module or step.name}, alone",
            details=[line for line in str(error).splitlines() if line.strip()][:4],
            hint="`edgedeploy verify` without --layers compares the outputs of the whole file",
        ) from error


def _outcome(file: StepFile, step: Step, matcher: Matcher, inputs: Sequence[Input], made: _Made) -> Outcome:
    forced, free = made.forced, made.free
    nearest = tuple(dict.fromkeys(found for tensor in inputs for found in tensor.nearest))
    before = tuple(dict.fromkeys(name for tensor in inputs for name in tensor.before))
    pair = matcher.find(forced, step, nearest, len(before))
    if pair is None:
        return Outcome(forced, free, nearest, before, None, forced)
    arrangement = pair.arrangement
    value = matcher.arranged(arrangement, forced.shape)
    errors = [matcher.in_reference_form(array, arrangement) for array in (forced, free)]
    stored = file.limits(made.name)
    moves = stored is None and MOVES.search(step.type) and not before and len(step.inputs) == 1
    limits = _Limits(stored, file.limits(step.inputs[0]) if moves else stored)
    layer = replace(_layer(step, matcher.reference, arrangement.index, errors, limits), before=before)
    found = Found(arrangement, pair.alike, layer, _power(value), _power(forced.astype(np.float64) - value))
    return Outcome(forced, free, nearest, before, found, value)


def _layer(step: Step, reference: Reference, index: int, found: Sequence[Array], limits: _Limits) -> LayerError:
    """The errors of an operator's output.

    Args:
        index: of the reference's tensor.
        found: what the operator makes of the reference's inputs, and of the file's own.
    """
    value = reference.values[index]
    exact, forced, free = (array.astype(np.float64) for array in (value, *found))
    power, own = float(np.mean(exact**2)), forced - exact
    stored = limits.stored
    outside = 0.0 if stored is None else float(np.mean((exact < stored[0]) | (exact > stored[1])))
    channels = tuple(axis for axis in range(exact.ndim) if axis != (1 if exact.ndim > 2 else exact.ndim - 1))
    # what is clipped is a matter of ranges, told apart
    held = exact if limits.read is None else np.clip(exact, *limits.read)
    worst = float(np.max(np.mean((forced - held) ** 2, axis=channels))) if exact.size else 0.0
    largest = float(np.max(np.abs(own))) / (float(exact.std()) or 1.0)
    return LayerError(
        step.name,
        step.type,
        step.module,
        reference.facts[index].name,
        own_sqnr_db=ratio_db(power, float(np.mean(own**2))),
        own_channel_sqnr_db=ratio_db(power, worst),
        own_error=largest if math.isfinite(largest) else LARGEST,
        inherited_sqnr_db=ratio_db(power, float(np.mean((free - forced) ** 2))),
        total_sqnr_db=ratio_db(power, float(np.mean((free - exact) ** 2))),
        low=float(exact.min()),
        high=float(exact.max()),
        limit_low=None if stored is None else stored[0],
        limit_high=None if stored is None else stored[1],
        clipped=outside,
    )


def ratio_db(signal: float, noise: float) -> float | None:
    """In dB; None for no noise."""
    if noise == 0.0:
        return None
    if not math.isfinite(noise):
        return -LARGEST
    return 10 * math.log10(max(signal, 1e-300) / noise)


def _power(values: Array) -> float:
    return float(np.mean(np.square(values, dtype=np.float64)))


def decibel(value: float | None) -> float:
    """Infinite where it is None."""
    return math.inf if value is None else value
