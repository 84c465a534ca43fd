"""The legacy TFLite runtime: tflite-runtime 2.14.0, the last release under that name, still in use on devices.

Its package needs NumPy 1 and Python 3.11 or older, so it has a virtual environment of its own, made on demand in the
cache. `worker.py` runs models in it and implements the runner's protocol, so `run_on_host` takes this bundle like any
other. It is a Python package and therefore runs on this machine only.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from edgedeploy.android_harness.bundles import Bundle
from edgedeploy.android_harness.host_runner import ENVIRONMENT
from edgedeploy.android_harness.protocol import find_error, parse_events
from edgedeploy.android_harness.toolchain import HOST_ABI, run_tool
from edgedeploy.core.child_processes import installed_module_command, interpreter
from edgedeploy.core.errors import RunnerFailed
from edgedeploy.core.storage.cache import cache_folder, key_of, locked
from edgedeploy.core.storage.files import staged_folder

VERSION = "2.14.0"
_REQUIREMENTS = (f"tflite-runtime=={VERSION}", "numpy==1.26.4")
_PYTHONS = ("3.11", "3.10", "3.9")
_WORKER = Path(__file__).parent / "worker.py"


@dataclass(frozen=True)
class LegacyTfliteBundle(Bundle):
    """A Python environment with the legacy TFLite runtime, started as a bundle is."""

    def command(self, folder: str | Path | None = None) -> list[str]:
        """The command that starts the worker; `folder` must be None, because it cannot be pushed to a device."""
        if folder is not None:
            raise RunnerFailed(f"tflite-runtime {VERSION} is a Python package and runs on this machine only")
        return [str(self.folder / "bin" / "python"), "-I", str(_WORKER)]


def build_legacy_tflite() -> LegacyTfliteBundle:
    """The environment, from the cache or made now. Raises RunnerFailed with what is missing."""
    python = _compatible_python()
    folder = cache_folder("environments") / f"tflite-runtime-{VERSION}-{key_of([python, *_REQUIREMENTS])}"
    with locked(folder):
        if not (folder / "bin" / "python").exists():
            with staged_folder(folder) as stage:
                run_tool([python, "-I", "-m", "venv", "--without-pip", str(stage)], "making an environment")
                pip = installed_module_command("pip", "--python", str(stage / "bin" / "python"), "--quiet")
                install = ["install", "--only-binary=:all:", "--no-deps", "--disable-pip-version-check"]
                run_tool([*pip, *install, *_REQUIREMENTS], f"installing {' and '.join(_REQUIREMENTS)}")
    return LegacyTfliteBundle("tflite-runtime", HOST_ABI, VERSION, folder)


@dataclass(frozen=True)
class LoadFailure:
    """Why the legacy TFLite runtime cannot load a file. `crashed`: a signal ended it, and there is no other reason."""

    reason: str
    crashed: bool = False


def load_failure(model: Path) -> LoadFailure | None:
    """Why the legacy TFLite runtime cannot load a .tflite file, in its own words where it gives any; None if it can."""
    command = [*build_legacy_tflite().command(), "--runtime", "tflite-runtime", "--model", str(model), "--load-only"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=ENVIRONMENT, check=False)
    events = parse_events(done.stdout, stderr=done.stderr, what="tflite-runtime")
    error = find_error(events)
    if error is not None:
        return LoadFailure(error.message)
    if done.returncode == 0 and events and events[-1].event == "done":
        return None
    if done.returncode < 0:
        return LoadFailure(f"it crashes on loading it ({signal.Signals(-done.returncode).name})", crashed=True)
    return LoadFailure(f"it ended with {done.returncode}: {' '.join(done.stderr.split())[-300:]}")


def _compatible_python() -> str:
    if f"{sys.version_info.major}.{sys.version_info.minor}" in _PYTHONS:
        return interpreter()
    for version in _PYTHONS:
        path = shutil.which(f"python{version}")
        if path:
            return path
    raise RunnerFailed(
        f"tflite-runtime {VERSION} needs Python 3.9 to 3.11, and none is installed",
        hint="install python3.11 beside this one",
    )
