"""Older runtimes that a file must still load in: `export --min-runtime`. What one lacks is told before anybody ships it."""

from __future__ import annotations

import re
from pathlib import Path

from edgedeploy.core.errors import ExportFailed, UnknownName
from edgedeploy.core.storage.files import private_folder

MIN_RUNTIMES = ("tflite-2.14",)


def check_min_runtime(name: str | None) -> None:
    """Raises UnknownName for one that is not in MIN_RUNTIMES."""
    if name is not None and name not in MIN_RUNTIMES:
        raise UnknownName("runtime", name, MIN_RUNTIMES, hint=f"--min-runtime {' or '.join(MIN_RUNTIMES)}")


def require_loads(name: str | None, runner: str, path: Path, what: str) -> None:
    """Loads a .tflite file in the old runtime; other files are none of its business. Raises ExportFailed, which names
    the operator that it lacks or crashes at.
    """
    if name is None or runner != "litert":
        return
    from edgedeploy.android_harness.legacy_tflite.environment import VERSION, load_failure

    refusal = load_failure(path)
    if refusal is not None:
        reasons = [_with_name(line) for line in refusal.reason.splitlines() if line.strip()][:6]
        raise ExportFailed(
            f"{what} does not load in tflite-runtime {VERSION}",
            details=[*reasons, _crashing_operator(path)] if refusal.crashed else reasons,
            hint="another target, another --head, or leave --min-runtime out for devices with a newer runtime",
        )


def _with_name(line: str) -> str:
    """The old runtime tells an operator that is newer than itself by number only."""
    from edgedeploy.exporters.tflite_file import operator_name

    match = re.search(r"builtin_code out of range: (\d+)", line)
    return f"it lacks the operator {operator_name(int(match[1]))}: {line}" if match else line


def _crashing_operator(path: Path) -> str:
    """Which operator the old runtime crashes at, found by halving the file: a crash says no word."""
    from edgedeploy.android_harness.legacy_tflite.environment import load_failure
    from edgedeploy.exporters.tflite_file import first_operators, operators

    model = path.read_bytes()
    names = operators(model)
    fine, crashing = 0, len(names)
    with private_folder() as folder:
        beginning = folder / "model.tflite"
        while crashing - fine > 1:
            middle = (fine + crashing) // 2
            beginning.write_bytes(first_operators(model, middle))
            fine, crashing = (middle, crashing) if load_failure(beginning) is None else (fine, middle)
    return f"the first operator with which it does: {names[crashing - 1]} (number {crashing} of {len(names)})"
