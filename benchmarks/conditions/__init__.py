"""Measurement conditions: cores, modes, temperature, and which samples are not to be trusted."""

from __future__ import annotations

from .session import Conditions, MeasurementConditions, ThermalWatch, apply_conditions

__all__ = ["Conditions", "MeasurementConditions", "ThermalWatch", "apply_conditions"]
