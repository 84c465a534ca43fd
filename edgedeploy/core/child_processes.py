"""Child processes that run a module of this package with the same interpreter."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import edgedeploy


def package_root() -> Path:
    """The folder that holds the package: the checkout, or site-packages."""
    return Path(edgedeploy.__file__).resolve().parent.parent


def module_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of this package."""
    return [sys.executable, "-m", module, *arguments]


def child_environment(*search_path: str) -> dict[str, str]:
    """This process's environment, in which a child finds this package as this process does, installed or not.

    Args:
        search_path: further folders that the child searches, after those of PYTHONPATH.
    """
    folders = [folder for folder in (os.environ.get("PYTHONPATH", ""), *search_path, str(package_root())) if folder]
    return {
        **os.environ,
        "ORT_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(os.pathsep.join(folders).split(os.pathsep))),
    }
