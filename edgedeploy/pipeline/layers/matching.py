"""Which tensor of the float network a tensor of a file is.

Names do not tell: converters fuse, split and reorder operators, and change the order of dimensions. So values are compared.
An operator is run on the reference's own inputs, and then its output, if the operator is right, is close to one of the
tensors that the float network computes from these inputs. Of an operator that is wrong no such tensor is there; then it is
the nearest one of an operator of the same family. An operator in between, which the float network does not have (a pad, a
part of a GELU or SiLU), has none; its error is then in the output of the next one that has.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgedeploy.core.parity import Array

from .formats.steps import Step
from .reference import Reference

SAMPLED = 4096  # values of a tensor that are looked at
HOPS, HOPS_OF_STEP = (
    8,
    3,
)  # operators of the network that one operator of a file may stand for; and for each one skipped
# Of two tensors that are the same, root mean square, in σ. Correlation alone takes s(x) for x s(x), s being the logistic
# function, where all x are small: 0.5 + x / 4 beside x / 2.
LARGEST_ERROR = 0.3
TIE = 0.002  # correlations this close are the same: then the smaller error decides,
SAME_ERROR = 2.0  # and errors this close are the same, too
# Operators that have one counterpart in the float network, whatever their values.
FAMILIES = {  # in this order: "bilinear" is no linear layer
    "resize": re.compile(r"resize|upsample|interpolate", re.I),
    "softmax": re.compile(r"softmax", re.I),
    "pooling": re.compile(r"pool|mean", re.I),
    "product": re.compile(r"conv|linear|addmm|gemm|matmul|fully_connected|einsum|\b[b]?mm\b", re.I),
}
CLIPS = re.compile(r"relu|clamp|clip|hardtanh", re.I)  # a file may have them in the layer before them
# Operators whose output may be the same tensor as their input.
MOVES = re.compile(
    r"quantize|reshape|transpose|permute|squeeze|expand|identity|cast|flatten|view|slice|split|copy", re.I
)


@dataclass(frozen=True)
class Arrangement:
    """A tensor of the reference, and how its values are ordered in the file.

    Attributes:
        order: "same"; "last" or "first" where its channels, or its last dimension, are there; "swap" where the file's last
            two dimensions are the other way round.
    """

    index: int
    order: str


@dataclass(frozen=True)
class Pair:
    """The counterpart of a tensor of a file.

    Attributes:
        alike: by its values; else only its operator is of the same family.
    """

    arrangement: Arrangement
    alike: bool


@dataclass(frozen=True)
class _Candidate:
    """`error` is the root mean square in σ."""

    arrangement: Arrangement
    correlation: float
    error: float


class Matcher:
    """Finds tensors of a reference.

    Args:
        least: the correlation from which two tensors are the same one.
    """

    def __init__(self, reference: Reference, least: float) -> None:
        self.reference, self._least = reference, least
        self._ancestors: list[int] = []  # as bits, a tensor is one of its own
        self._of_size: dict[int, list[int]] = {}
        self._families: list[str] = []
        self._readers: list[list[int]] = [[] for _ in reference.facts]
        for index, (fact, value) in enumerate(zip(reference.facts, reference.values, strict=True)):
            bits = 1 << index
            for source in fact.sources:
                bits |= self._ancestors[source]
                self._readers[source].append(index)
            self._ancestors.append(bits)
            self._families.append(self._family_of(index))
            if np.issubdtype(value.dtype, np.floating):
                self._of_size.setdefault(value.size, []).append(index)

    def find(self, output: Array, step: Step, inputs: Sequence[Arrangement], skipped: int = 0) -> Pair | None:
        """The counterpart of a step's output, or None.

        Args:
            output: what the step computes from the reference's values.
            inputs: the nearest tensors of the reference that the step's inputs are, or are computed from.
            skipped: how many steps lie between these and the output.
        """
        if not np.issubdtype(output.dtype, np.floating) or not inputs:
            return None
        needed = 0
        for arrangement in inputs:
            needed |= 1 << arrangement.index
        own = {arrangement.index for arrangement in inputs}
        near = self._within(own, HOPS + HOPS_OF_STEP * skipped)
        reachable = [
            index
            for index in self._of_size.get(output.size, ())
            if index in near and not needed & ~self._ancestors[index] and (index not in own or MOVES.search(step.type))
        ]
        candidates = [found for index in reachable for found in self._compared(output, index)]
        best = _best([found for found in candidates if found.error <= LARGEST_ERROR])
        if best is not None and best.correlation >= self._least:
            return Pair(best.arrangement, alike=True)
        family = _family(step.type)
        if not family:
            return None
        orders = {arrangement.order for arrangement in inputs}  # a layer keeps the order of its input's dimensions
        related = [
            found
            for found in candidates
            if self._families[found.arrangement.index] == family and found.arrangement.order in orders
        ]
        if not related:
            return None
        here = [found for found in related if self.reference.facts[found.arrangement.index].module == step.module]
        nearest = min((here or related), key=lambda found: found.arrangement.index).arrangement.index
        # the layer itself, or with the clip that the file has fused into it
        lowest, index = float(output.min()), nearest
        for candidate in related:
            clipped = candidate.arrangement.index
            if nearest in self._sources(candidate) and lowest >= float(self.reference.values[clipped].min()):
                index = clipped
        chosen = _best([found for found in related if found.arrangement.index == index])
        return None if chosen is None else Pair(chosen.arrangement, alike=False)

    def arranged(self, arrangement: Arrangement, shape: tuple[int, ...]) -> Array:
        """The reference's values in the order and shape of a file's tensor."""
        return _ordered(self.reference.values[arrangement.index], arrangement.order, shape).reshape(shape)

    def in_reference_form(self, values: Array, arrangement: Arrangement) -> Array:
        """The inverse: a file's values in the order and shape of the reference's tensor."""
        shape = self.reference.values[arrangement.index].shape
        if arrangement.order == "swap":
            return values.swapaxes(-1, -2).reshape(shape)
        if arrangement.order == "last":
            moved = (shape[0], *shape[2:], shape[1])
            return np.moveaxis(values.reshape(moved), -1, 1)
        if arrangement.order == "first":
            moved = (shape[0], shape[-1], *shape[1:-1])
            return np.moveaxis(values.reshape(moved), 1, -1)
        return values.reshape(shape)

    def _compared(self, output: Array, index: int) -> list[_Candidate]:
        value = self.reference.values[index]
        orders = ["same", *(("last", "first") if value.ndim > 2 else ()), *(("swap",) if output.ndim > 1 else ())]
        stride = max(1, output.size // SAMPLED) | 1  # odd: not always the same column
        actual = output.ravel()[::stride].astype(np.float64)
        found = []
        for order in orders:
            expected = _ordered(value, order, output.shape).ravel()[::stride].astype(np.float64)
            spread = float(expected.std()) or 1.0
            error = float(np.sqrt(np.mean((actual - expected) ** 2))) / spread
            found.append(_Candidate(Arrangement(index, order), _correlation(actual, expected), error))
        return found

    def _within(self, start: set[int], hops: int) -> set[int]:
        """The tensors that are computed from others by at most so many operators, and these."""
        found, edge = set(start), set(start)
        for _ in range(hops):
            edge = {reader for index in edge for reader in self._readers[index]} - found
            found |= edge
        return found

    def _sources(self, candidate: _Candidate) -> tuple[int, ...]:
        return self.reference.facts[candidate.arrangement.index].sources

    def _family_of(self, index: int) -> str:
        """That of the operator; of a clip that of the layer before it, since a file may have the two in one."""
        fact = self.reference.facts[index]
        own = _family(fact.type)
        if own or not fact.sources or not CLIPS.search(fact.type):
            return own
        return self._families[fact.sources[0]]


def _family(type: str) -> str:
    return next((name for name, pattern in FAMILIES.items() if pattern.search(type)), "")


def _best(candidates: Sequence[_Candidate]) -> _Candidate | None:
    """The most alike; of several that are as much alike, such as those of a residual stream, the first."""
    highest = max((found.correlation for found in candidates), default=0.0)
    close = [found for found in candidates if found.correlation >= highest - TIE]
    least = min((found.error for found in close), default=0.0)
    alike = [found for found in close if found.error <= least * SAME_ERROR]
    return min(alike, key=lambda found: found.arrangement.index, default=None)


def _ordered(value: Array, order: str, shape: tuple[int, ...]) -> Array:
    if order == "swap":
        return value.reshape(*shape[:-2], shape[-1], shape[-2]).swapaxes(-1, -2)
    if order == "last":
        return np.moveaxis(value, 1, -1)
    if order == "first":
        return np.moveaxis(value, -1, 1)
    return value


def _correlation(left: Array, right: Array) -> float:
    """Of two arrays; 1 where both are constant and equal, 0 where one is constant or not finite."""
    left, right = left - left.mean(), right - right.mean()
    norm = float(np.sqrt((left @ left) * (right @ right)))
    if norm > 0 and np.isfinite(norm):
        return float(left @ right) / norm
    return 1.0 if np.array_equal(left, right) and np.isfinite(left).all() else 0.0
