"""Parity: how far two outputs are apart, in figures that a person can judge."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
LARGEST = sys.float_info.max


@dataclass(frozen=True)
class Parity:
    """An artifact's output against the reference. All figures are finite, so that JSON can hold them.

    Attributes:
        max_abs_error, mean_abs_error: in the output's own units; the largest float where the artifact gave values that are
            not finite.
        relative_error: max_abs_error over the reference's standard deviation, the figure that float targets are held to.
        sqnr_db: 10 log10 of signal power over error power; None for equal outputs, whose ratio is infinite.
        cosine: of the two outputs as one long vector.
        label_agreement: share of positions (pixels, or images) whose largest class is the same; None where there is
            no class axis.
        count: compared values.
        labels: the outputs are integers, so that only `label_agreement` is meaningful.
    """

    max_abs_error: float
    mean_abs_error: float
    relative_error: float
    sqnr_db: float | None
    cosine: float
    label_agreement: float | None
    count: int
    labels: bool = False

    @property
    def sqnr(self) -> float:
        """`sqnr_db` as a number that can be compared: infinite for equal outputs."""
        return math.inf if self.sqnr_db is None else self.sqnr_db

    @property
    def is_finite(self) -> bool:
        """Whether the artifact gave only finite values where the reference did."""
        return self.max_abs_error < LARGEST

    def __str__(self) -> str:
        if self.labels:
            return f"same label {self.label_agreement:.2%}"
        agreement = "" if self.label_agreement is None else f", same label {self.label_agreement:.2%}"
        return (
            f"SQNR {self.sqnr:.1f} dB, largest error {self.max_abs_error:.3g} "
            f"({self.relative_error:.2g} σ), cosine {self.cosine:.6f}{agreement}"
        )


@dataclass(frozen=True)
class Threshold:
    """The parity that an artifact must reach; None demands nothing.

    Attributes:
        relative_error: largest error over the reference's standard deviation, below this.
        sqnr_db: signal to quantization noise, at least this.
        label_agreement: share of equal labels, at least this, where the artifact gives labels.
    """

    relative_error: float | None = None
    sqnr_db: float | None = None
    label_agreement: float | None = None

    def misses(self, parities: Sequence[Parity]) -> list[str]:
        """One line for each output that is below the threshold; empty where all reach it."""
        return [
            f"output {index}: {reason}" for index, parity in enumerate(parities) for reason in self._reasons(parity)
        ]

    def _reasons(self, parity: Parity) -> list[str]:
        if parity.labels:
            bound, found = self.label_agreement, parity.label_agreement or 0.0
            missed = bound is not None and not found >= bound
            return [f"{found:.2%} of labels agree, the threshold is {bound:.0%}"] if missed else []
        reasons = []
        if self.relative_error is not None and not parity.relative_error < self.relative_error:
            reasons.append(f"largest error {parity.relative_error:.2g} σ, the threshold is {self.relative_error:g} σ")
        if self.sqnr_db is not None and not parity.sqnr >= self.sqnr_db:
            reasons.append(f"SQNR {parity.sqnr:.1f} dB, the threshold is {self.sqnr_db:g} dB")
        return reasons

    def __str__(self) -> str:
        parts = []
        if self.relative_error is not None:
            parts.append(f"largest error < {self.relative_error:g} σ")
        if self.sqnr_db is not None:
            parts.append(f"SQNR ≥ {self.sqnr_db:g} dB")
        return ", ".join(parts)


def worst(parities: Sequence[Parity]) -> Parity | None:
    """The output that stands for a network of several: the lowest SQNR, and among labels the lowest agreement.

    Labels count only where no output is real. None without outputs.
    """

    def rank(parity: Parity) -> tuple[bool, float, float]:
        agreement = 1.0 if parity.label_agreement is None else parity.label_agreement
        return parity.labels, 0.0 if parity.labels else parity.sqnr, agreement

    return min(parities, key=rank, default=None)


def compare(reference: Array, actual: Array, *, class_axis: int | None = None) -> Parity:
    """Compares two arrays of one shape, in float64.

    With integer arrays of class labels, `label_agreement` is their share of equal entries. A value that is not finite in
    `actual` alone counts as the largest error there is. Raises ValueError when the shapes differ.
    """
    if reference.shape != actual.shape:
        raise ValueError(f"shapes differ: reference {reference.shape}, actual {actual.shape}")
    labels = bool(np.issubdtype(reference.dtype, np.integer))
    ref, act = reference.astype(np.float64).ravel(), actual.astype(np.float64).ravel()
    if ref.size == 0:
        raise ValueError("nothing to compare: the output is empty")
    if labels:
        agreement: float | None = float(np.mean(reference == actual))
    elif class_axis is not None:
        agreement = float(np.mean(reference.argmax(class_axis) == actual.argmax(class_axis)))
    else:
        agreement = None
    error = np.abs(ref - act)
    if not np.isfinite(error).all():
        return Parity(LARGEST, LARGEST, LARGEST, -LARGEST, 0.0, agreement, ref.size, labels)
    largest = float(error.max())
    spread = float(ref.std()) or 1.0
    sqnr: float | None = None
    cosine = 1.0
    if largest > 0.0:
        sqnr = 10 * math.log10(max(float(np.mean(ref**2)), 1e-300) / float(np.mean(error**2)))
        cosine = float(ref @ act / max(float(np.linalg.norm(ref) * np.linalg.norm(act)), 1e-300))
    return Parity(largest, float(error.mean()), largest / spread, sqnr, cosine, agreement, ref.size, labels)
