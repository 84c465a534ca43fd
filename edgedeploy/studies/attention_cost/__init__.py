"""How the cost of XFormer's attention grows with the number of tokens: `python -m edgedeploy.studies.attention_cost`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AttentionRun:
    """What one process measured of one layer.

    Attributes:
        tokens: of all sequences together.
        samples_ns: time of each run.
        peak_bytes: memory that running took on top of what the process held before.
    """

    tokens: int
    samples_ns: tuple[int, ...]
    peak_bytes: int
