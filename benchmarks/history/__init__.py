"""The result store: measurements over time, in files that live in git.

records.py  one line of a file           figures.py  what the index has of it, which is kept in the line
store.py    appending and reading, one JSON Lines file for each device
index.py    the same rows in SQLite      lines.py    a line as a row of it
series.py   the course of each row, and its change points
"""

from __future__ import annotations

from .series import find_series
from .store import HistoryStore

__all__ = ["HistoryStore", "find_series"]
