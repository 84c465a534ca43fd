"""The error of each operator of a file: its own, and what it inherits.

Each operator is run twice, alone, in the file's runtime. Once with the float network's values as its inputs: what its
output then lacks is its **own** error. Once with the file's own values: the difference between the two is what the
operator **inherits** from the errors of those before it. Own and inherited error add up to the total one.

A large own error has two causes: the operator is wrong, or its output is no tensor of the float network, such as that of a
layer whose bias the next operator takes back. Such a pair is in doubt. What reads it is run a third time, with what the
operator itself makes of exact inputs. If that gives a tensor of the float network, and the pair's value does not, the
pair was no pair, and is left out. So is one that differs and where what reads it is the same either way.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgedeploy.core.parity import Array
from edgedeploy.core.results.layers import LayerError

from .formats.steps import Step, StepFile
from .matching import Arrangement, Matcher
from .outcomes import Found, Outcome, decibel, outcomes, ratio_db
from .reference import Reference

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
# A pair is wrong where what reads it has so much less noise, in power, without it.
LESS_NOISE = 0.1
ADDITIVE = re.compile(r"(?:aten\.)?(?:add|sub)(?:\.\w+)?", re.I)


@dataclass(frozen=True)
class Analysis:
    """The operators that could be compared, and the file's own outputs.

    Attributes:
        without_counterpart: operators whose output is no tensor of the float network.
        not_trusted: those whose output was taken for one, wrongly, as what reads it shows, and those compared with these;
            and those with another's values that do not matter to what reads them, so that nothing shows it.
    """

    layers: tuple[LayerError, ...]
    without_counterpart: int
    not_trusted: int
    outputs: tuple[Array, ...]


@dataclass(frozen=True)
class _Tensor:
    """A tensor of the file.

    Attributes:
        expected: the float network's value; where it has none, what the operators make of those that it has.
        actual: the file's own value.
        nearest: the tensors of the float network that it is, or is computed from.
        before: the operators since these.
        doubts: the tensors of the file whose pairs `expected` rests on and that are in doubt.
        unpaired: the same without these pairs.
    """

    expected: Array
    actual: Array
    nearest: tuple[Arrangement, ...]
    before: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    unpaired: _Tensor | None = None


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
    found: dict[str, Found] = {}  # by their outputs, as the next one is
    rests_on: dict[str, tuple[str, ...]] = {}
    wrong: set[str] = set()
    alone = 0
    for step in file.steps:
        inputs = [tensors[name] for name in step.inputs]
        doubts = tuple(dict.fromkeys(name for tensor in inputs for name in tensor.doubts))
        unpaired = [tensor.unpaired or tensor for tensor in inputs]
        made, *others = outcomes(file, step, matcher, [inputs, unpaired] if doubts else [inputs])
        other = others[0] if others else None
        if other is not None and _contradict(made, other, [found[name] for name in doubts], quantized=quantized):
            wrong.update(doubts)
            made, other, doubts = other, None, ()
        for index, (name, outcome) in enumerate(zip(step.outputs, made, strict=True)):
            without = None if other is None else _without_pair(other[index], step)
            if outcome.found is None:
                alone += 1
                tensors[name] = replace(_without_pair(outcome, step), doubts=doubts, unpaired=without)
                continue
            here = outcome.found
            found[name], rests_on[name] = here, (name, *doubts)
            tensors[name] = _Tensor(outcome.paired, outcome.free, (here.arrangement,))
            if _may_part(here.layer, quantized=quantized):
                tensors[name] = replace(tensors[name], doubts=(name,), unpaired=_without_pair(outcome, step))
            elif any(found[doubt].arrangement.index == here.arrangement.index for doubt in doubts):
                tensors[name] = replace(
                    tensors[name], doubts=doubts, unpaired=without
                )  # moved only: that proves nothing
        readers.subtract(step.inputs)
        for name in step.inputs:
            if readers[name] == 0 and name not in file.outputs:
                del tensors[name]  # memory: the values of a whole network are many
    outputs = tuple(tensors[name].actual for name in file.outputs)
    trusted = {name: pair for name, pair in found.items() if wrong.isdisjoint(rests_on[name])}
    harmless = _harmless(file, trusted, quantized=quantized)
    trusted = {name: pair for name, pair in trusted.items() if pair.alike or name not in harmless}
    judged = _judged(trusted, harmless, quantized=quantized)
    return Analysis(tuple(judged), alone, len(found) - len(trusted), outputs)


def _without_pair(outcome: Outcome, step: Step) -> _Tensor:
    before = (*outcome.before, f"{step.type} at {step.module or step.name}")
    return _Tensor(outcome.forced, outcome.free, outcome.nearest, before)


def _contradict(
    made: Sequence[Outcome], other: Sequence[Outcome], doubtful: Sequence[Found], *, quantized: bool
) -> bool:
    """Whether a step shows that the pairs of its inputs are none: without them (`other`) all of its outputs are right."""
    for paired, unpaired in zip(made, other, strict=True):
        if unpaired.found is None or not unpaired.found.alike:
            return False
        if paired.found is not None and not _may_part(paired.found.layer, quantized=quantized):
            return False
        rivals = [*doubtful, *([paired.found] if paired.found is not None else [])]
        same = [rival.noise for rival in rivals if rival.arrangement.index == unpaired.found.arrangement.index]
        if not all(unpaired.found.noise < LESS_NOISE * noise for noise in same):
            return False
    return True


def _may_part(layer: LayerError, *, quantized: bool) -> bool:
    """Whether an own error is so large that the operator may be blamed."""
    if not quantized:
        return not layer.own_error <= FLOAT_LIMIT
    return min(decibel(layer.own_channel_sqnr_db), decibel(layer.own_sqnr_db)) < NOISE_FLOOR_DB


def _harmless(file: StepFile, found: Mapping[str, Found], *, quantized: bool) -> set[str]:
    """The tensors whose errors vanish in every operator that reads them, such as a branch that hardly adds anything."""
    least = HARMLESS_DB if quantized else HARMLESS_FLOAT_DB
    read: dict[str, bool] = {}
    for step in file.steps:
        compared = all(name in found for name in step.outputs)
        clean = compared and all(decibel(found[name].layer.inherited_sqnr_db) > least for name in step.outputs)
        for name in step.inputs:
            small = clean
            if compared and name in found and ADDITIVE.fullmatch(step.type):  # a sum has no larger error than its parts
                small = all(
                    decibel(ratio_db(found[output].power, found[name].noise)) > least for output in step.outputs
                )
            read[name] = read.get(name, True) and small
    return {name for name, vanishes in read.items() if vanishes and name not in file.outputs}


def _judged(found: Mapping[str, Found], harmless: Collection[str], *, quantized: bool) -> list[LayerError]:
    """The layers, with `parts` where an operator's own error stands out and does not vanish."""
    layers = {name: pair.layer for name, pair in found.items()}
    noisy = [decibel(layer.own_channel_sqnr_db) for layer in layers.values() if layer.own_channel_sqnr_db is not None]
    usual = float(np.median(noisy)) if noisy else math.inf
    bound = max(min(usual - OUTLIER_DB, NOISE_FLOOR_DB), BROKEN_DB)
    return [
        replace(
            layer,
            parts=name not in harmless and (_stands_out(layer, bound) if quantized else layer.own_error > FLOAT_LIMIT),
        )
        for name, layer in layers.items()
    ]


def _stands_out(layer: LayerError, bound: float) -> bool:
    """Noise in its worst channel, or clipping that the whole tensor shows."""
    harmful = layer.clipped > CLIPPED and decibel(layer.own_sqnr_db) < NOISE_FLOOR_DB
    return harmful or decibel(layer.own_channel_sqnr_db) < bound
