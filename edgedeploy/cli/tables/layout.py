"""What the text of a table is for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """How text is laid out.

    Attributes:
        width: texts that may be folded are folded at this many columns; figures and names never are.
        styled: headers are bold, by the terminal's escape codes.
    """

    width: int = 200
    styled: bool = False


PLAIN = Layout()
