"""From two sets of measurements to verdicts.

rows.py         the rows of both, and whether they were measured under one context
verdicts.py     faster, same, slower or unknown     gates.py    size, load time, memory, accuracy
budgets.py      the limits of edgedeploy.toml       causes.py   what may have made a row slower
operators.py    which operators of two profiles
"""

from __future__ import annotations

from .verdicts import ComparisonOptions, compare_measurements

__all__ = ["ComparisonOptions", "compare_measurements"]
