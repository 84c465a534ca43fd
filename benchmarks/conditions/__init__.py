"""Measurement conditions: cores, modes, temperature, and which samples are not to be trusted."""

from __future__ import annotations

from .options import MeasurementConditions

__all__ = ["MeasurementConditions"]
