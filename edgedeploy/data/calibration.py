"""CalibrationSet: the inputs that activation ranges are taken from, named, counted and hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST = 8  # fewer images give ranges that one odd image decides


@dataclass(frozen=True)
class CalibrationSet:
    """Preprocessed inputs.

    Attributes:
        name: where they come from, in words.
        images: (1, 3, h, w) float32 each.
        skipped: files that were not usable, and why.
        files: how many image files were read.
    """

    name: str
    images: Sequence[NDArray[np.float32]]
    skipped: tuple[tuple[str, str], ...] = ()
    files: int = 0

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return iter(self.images)

    @property
    def sha256(self) -> str:
        """Of all values, in order: the same set gives the same hash on every machine."""
        digest = hashlib.sha256()
        for image in self.images:
            digest.update(np.ascontiguousarray(image, dtype="<f4").tobytes())
        return digest.hexdigest()

    def to_json(self) -> dict[str, Any]:
        """As it stands in the manifest."""
        return {
            "name": self.name,
            "count": len(self),
            "files": self.files,
            "sha256": self.sha256,
            "skipped": [{"file": file, "reason": reason} for file, reason in self.skipped],
        }
