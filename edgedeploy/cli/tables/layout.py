"""What the text of a table is for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """How text is laid out.

    Attributes:
        width: texts that may be folded are folded at this many columns; figures never are.
        styled: it is a terminal: headers are bold, by escape codes, and nothing is wider than it; see fit.py.
    """

    width: int = 200
    styled: bool = False


PLAIN = Layout()
