"""What the text of a table is for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """How text is laid out.

    Attributes:
        width: tables are cut off at this many columns.
        styled: headers are bold, by the terminal's escape codes.
    """

    width: int = 200
    styled: bool = False


PLAIN = Layout()
