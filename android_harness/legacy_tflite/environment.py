"""The old runtime: tflite-runtime 2.14.0, the last one of that name, which devices in the field still have.

Its package needs NumPy 1 and Python 3.11 or older, so it lives in an environment of its own, made on demand in the
cache. It is run by `worker.py`, which speaks the runner's protocol: `run_locally` takes this bundle as it
takes any other. Being Python, it runs on this machine and not on a phone.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from edgedeploy.android_harness.bundles import Bundle
from edgedeploy.android_harness.host_runner import ENVIRONMENT
from edgedeploy.android_harness.toolchain import HOST_ABI, run_tool
from edgedeploy.core.errors import RunnerFailed
from edgedeploy.core.storage.cache import cache_folder, key_of, locked
from edgedeploy.core.storage.files import staged_folder

VERSION = "2.14.0"
_REQUIREMENTS = (f"tflite-runtime=={VERSION}", "numpy==1.26.4")
_PYTHONS = ("3.11", "3.10", "3.9")
_WORKER = Path(__file__).parent / "worker.py"


@dataclass(frozen=True)
class LegacyTfliteBundle(Bundle):
    """A Python environment with the old runtime, started as a bundle is."""

    def command(self, folder: str | Path | None = None) -> list[str]:
        """The worker in its environment; `folder` must be None, for this cannot be pushed to a device."""
        if folder is not None:
            raise RunnerFailed(f"tflite-runtime {VERSION} is a Python package and runs on this machine only")
        return [str(self.folder / "bin" / "python"), "-I", str(_WORKER)]


def build_legacy_tflite() -> LegacyTfliteBundle:
    """The environment, from the cache or made now. Raises RunnerFailed with what is missing."""
    python = _old_enough_python()
    folder = cache_folder("environments") / f"tflite-runtime-{VERSION}-{key_of([python, *_REQUIREMENTS])}"
    with locked(folder):
        if not (folder / "bin" / "python").exists():
            with staged_folder(folder) as stage:
                run_tool([python, "-m", "venv", "--without-pip", str(stage)], "making an environment")
                pip = [sys.executable, "-m", "pip", "--python", str(stage / "bin" / "python"), "--quiet"]
                install = ["install", "--only-binary=:all:", "--no-deps", "--disable-pip-version-check"]
                run_tool([*pip, *install, *_REQUIREMENTS], f"installing {' and '.join(_REQUIREMENTS)}")
    return LegacyTfliteBundle("tflite-runtime", HOST_ABI, VERSION, folder)


@dataclass(frozen=True)
class Refusal:
    """Why the old runtime cannot load a file. `crashed`: it ended by a signal, which is all that it told."""

    reason: str
    crashed: bool = False


def refusal_of(model: Path) -> Refusal | None:
    """Why the old runtime cannot load a .tflite file, in its own words where it has any; None where it can."""
    command = [*build_legacy_tflite().command(), "--runtime", "tflite-runtime", "--model", str(model), "--load-only"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=ENVIRONMENT, check=False)
    lines = done.stdout.splitlines()
    try:
        last = json.loads(lines[-1])
        if last["event"] == "done" and done.returncode == 0:
            return None
        return Refusal(str(last["message"]))
    except (IndexError, KeyError, ValueError):
        if done.returncode < 0:
            return Refusal(f"it crashes on loading it ({signal.Signals(-done.returncode).name})", crashed=True)
        return Refusal(f"it ended with {done.returncode}: {' '.join(done.stderr.split())[-300:]}")


def _old_enough_python() -> str:
    if f"{sys.version_info.major}.{sys.version_info.minor}" in _PYTHONS:
        return sys.executable
    for version in _PYTHONS:
        path = shutil.which(f"python{version}")
        if path:
            return path
    raise RunnerFailed(
        f"tflite-runtime {VERSION} needs Python 3.9 to 3.11, and none is here",
        hint="install python3.11 beside this one",
    )
