"""The images that are done, in a file of the cache, so that the same command goes on after a stop."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from edgedeploy.core.storage.cache import cache_folder, key_of
from edgedeploy.core.storage.files import output_errors
from edgedeploy.core.storage.json_records import RecordInvalid, decode, encode_line

from .outcomes import ImageResult


class ProgressFile:
    """One line for each image; the name is a hash of all that decides the results."""

    def __init__(self, parts: Iterable[str]) -> None:
        self.path: Path = cache_folder("evaluations") / f"{key_of(parts)}.jsonl"

    def read(self) -> dict[str, ImageResult]:
        """The results by the image's name. A line that a stop cut short is left out."""
        try:
            lines = self.path.read_bytes().splitlines()
        except OSError:
            return {}
        found = {}
        for line in lines:
            with contextlib.suppress(RecordInvalid):
                result = decode(line, ImageResult)
                found[result.name] = result
        return found

    def add(self, results: Iterable[ImageResult]) -> None:
        """Appends results. Raises OutputFailed."""
        text = "".join(encode_line(result) + "\n" for result in results)
        with output_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                if file.tell() and not self._ends_with_a_line():
                    file.write(b"\n")
                file.write(text.encode())

    def remove(self) -> None:
        """Forgets it, when the evaluation is complete."""
        self.path.unlink(missing_ok=True)

    def _ends_with_a_line(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, 2)
            return file.read(1) == b"\n"
