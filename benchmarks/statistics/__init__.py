"""Raw samples to the figures that are shown."""

from __future__ import annotations

from .summary import summarise

__all__ = ["summarise"]
