"""Older runtimes that a file must still load in: `export --min-runtime`. What one lacks is told before anybody ships it."""

from __future__ import annotations

from pathlib import Path

from .core.errors import ExportFailed, UnknownName

MIN_RUNTIMES = ("tflite-2.14",)


def check_min_runtime(name: str | None) -> None:
    """Raises UnknownName for one that is not in MIN_RUNTIMES."""
    if name is not None and name not in MIN_RUNTIMES:
        raise UnknownName("runtime", name, MIN_RUNTIMES, hint=f"--min-runtime {' or '.join(MIN_RUNTIMES)}")


def require_loads(name: str | None, runner: str, path: Path, what: str) -> None:
    """Loads a .tflite file in the old runtime; other files are none of its business. Raises ExportFailed, which names
    the operator that it lacks.
    """
    if name is None or runner != "litert":
        return
    from edgedeploy.android_harness.old_runtime import VERSION, refusal_of

    reason = refusal_of(path)
    if reason is not None:
        raise ExportFailed(
            f"{what} does not load in tflite-runtime {VERSION}",
            details=[line for line in reason.splitlines() if line.strip()][:6],
            hint="another target, another --head, or leave --min-runtime out for devices with a newer runtime",
        )
