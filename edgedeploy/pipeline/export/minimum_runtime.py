"""`export --min-runtime`: older runtimes that a file must still load in, checked before anybody ships it."""

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


def require_loads(name: str | None, runtime: str, path: Path, artifact: str) -> None:
    """Loads a .tflite file in the minimum runtime, if one is demanded; other files are not checked.

    Raises ExportFailed, which names the operator that the runtime lacks or crashes at.
    """
    if name is None or runtime != "litert":
        return
    from edgedeploy.android_harness.legacy_tflite.environment import VERSION, load_failure

    failure = load_failure(path)
    if failure is not None:
        reasons = [_add_operator_name(line) for line in failure.reason.splitlines() if line.strip()][:6]
        raise ExportFailed(
            f"{artifact} does not load in tflite-runtime {VERSION}",
            details=[*reasons, _crashing_operator(path)] if failure.crashed else reasons,
            hint="another target, another --head, or leave --min-runtime out for devices with a newer runtime",
        )


def _add_operator_name(line: str) -> str:
    """The legacy runtime reports an operator that is newer than itself by number only; this adds its name."""
    from edgedeploy.exporters.tflite_file import operator_name

    match = re.search(r"builtin_code out of range: (\d+)", line)
    return f"it lacks the operator {operator_name(int(match[1]))}: {line}" if match else line


def _crashing_operator(path: Path) -> str:
    """The operator that the legacy runtime crashes at, found by bisecting the file: a crash leaves no message."""
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
