"""A reporter that keeps what it receives."""

from __future__ import annotations

from edgedeploy.core.reporter import NullReporter


class NoteReporter(NullReporter):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)
