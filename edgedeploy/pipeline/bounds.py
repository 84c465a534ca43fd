"""Bounds of number options."""

from __future__ import annotations

from edgedeploy.core.errors import UsageError

MAX_THREADS = 1024
MAX_JOBS = 256
MAX_SIDE = 16384  # pixels
MAX_CLASSES = 1_000_000
MAX_CALIBRATION_IMAGES = 100_000
MAX_RUNS = 10_000_000
MAX_SQNR_DB = 140.0  # of float32 itself
MAX_SECS = 7 * 24 * 3600.0


def check_bounds(option: str, value: float, least: float, most: float) -> None:
    """Raises UsageError for a number outside of the bounds, and for NaN."""
    if not least <= value <= most:
        raise UsageError(f"{option} is from {least:g} to {most:g}, not {value:.15g}")
