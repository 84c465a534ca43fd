"""How far two outputs are apart, in the figures that a person can judge."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Parity:
    """An artifact's output against the reference.

    Attributes:
        max_abs_error, mean_abs_error: in the output's own units.
        relative_error: max_abs_error over the reference's standard deviation, the figure that float targets are held to.
        sqnr_db: 10 log10 of signal power over error power; infinite for equal outputs.
        cosine: of the two outputs as one long vector.
        label_agreement: share of positions (pixels, or images) whose largest class is the same; None where there is
            no class axis.
        count: compared values.
        labels: the outputs are integers, so that only `label_agreement` says something.
    """

    max_abs_error: float
    mean_abs_error: float
    relative_error: float
    sqnr_db: float
    cosine: float
    label_agreement: float | None
    count: int
    labels: bool = False

    def to_json(self) -> dict[str, Any]:
        """JSON has no infinity: an equal output's SQNR is written as null beside a `max_abs_error` of 0."""
        record = asdict(self)
        if not math.isfinite(self.sqnr_db):
            record["sqnr_db"] = None
        return record

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Parity:
        """The inverse of `to_json`."""
        known = {name: record[name] for name in cls.__dataclass_fields__ if name in record}
        if known["sqnr_db"] is None:
            known["sqnr_db"] = math.inf if known["max_abs_error"] == 0 else math.nan
        return cls(**known)

    def __str__(self) -> str:
        if self.labels:
            return f"same label {self.label_agreement:.2%}"
        agreement = "" if self.label_agreement is None else f", same label {self.label_agreement:.2%}"
        return (
            f"SQNR {self.sqnr_db:.1f} dB, largest error {self.max_abs_error:.3g} "
            f"({self.relative_error:.2g} σ), cosine {self.cosine:.6f}{agreement}"
        )


def compare(reference: Array, actual: Array, *, class_axis: int | None = None) -> Parity:
    """Compares two arrays of one shape, in float64.

    With integer arrays of class labels, `label_agreement` is their share of equal entries. A value that is not finite in
    `actual` alone counts as an infinite error. Raises ValueError when the shapes differ.
    """
    if reference.shape != actual.shape:
        raise ValueError(f"shapes differ: reference {reference.shape}, actual {actual.shape}")
    labels = np.issubdtype(reference.dtype, np.integer)
    ref, act = reference.astype(np.float64).ravel(), actual.astype(np.float64).ravel()
    if ref.size == 0:
        raise ValueError("nothing to compare: the output is empty")
    error = np.abs(ref - act)
    error[~np.isfinite(error)] = np.inf
    if labels:
        agreement: float | None = float(np.mean(reference == actual))
    elif class_axis is not None:
        agreement = float(np.mean(reference.argmax(class_axis) == actual.argmax(class_axis)))
    else:
        agreement = None
    largest = float(error.max())
    spread = float(ref.std()) or 1.0
    if largest == 0.0:
        sqnr, cosine = math.inf, 1.0
    elif math.isinf(largest):
        sqnr, cosine = -math.inf, 0.0
    else:
        sqnr = 10 * math.log10(max(float(np.mean(ref**2)), 1e-300) / float(np.mean(error**2)))
        cosine = float(ref @ act / max(float(np.linalg.norm(ref) * np.linalg.norm(act)), 1e-300))
    return Parity(largest, float(error.mean()), largest / spread, sqnr, cosine, agreement, ref.size, labels)
