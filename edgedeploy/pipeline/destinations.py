"""Where results are written: checked before the work that they are results of."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from edgedeploy.core.artifact import files_of_artifact
from edgedeploy.core.errors import UsageError
from edgedeploy.core.storage.files import check_file_writable, is_replaceable


def check_destinations(files: Sequence[Path], *, inputs: Sequence[Path] = ()) -> None:
    """Finds out whether each file can be written without a loss: of an artifact, of an input, or of each other.

    What is no regular file, such as a pipe or a terminal, may be written to twice. Raises UsageError, OutputFailed.

    Args:
        inputs: files and folders that the command reads.
    """
    known = {Path(os.path.realpath(path)) for path in inputs}
    taken: set[Path] = set()
    for file in files:
        check_file_writable(file)
        if not is_replaceable(file):
            continue
        real = Path(os.path.realpath(file))
        if real.name in files_of_artifact(real.parent):
            raise UsageError(f"{file} belongs to an artifact, which would be lost", hint="a file with another name")
        if real in known:
            raise UsageError(f"{file} is read by this command, and would be lost", hint="a file with another name")
        if real in taken:
            raise UsageError(f"{file} would be written twice", hint="a file for each result")
        taken.add(real)
