"""Which versions of what are installed, from the packages' metadata: none of them is imported."""

from __future__ import annotations

import platform

from .backends import BACKENDS

EDGEDEPLOY_VERSION = "0.1.0"  # of this package; pyproject.toml reads it here

PACKAGES = (
    "numpy",
    "torch",
    *(package.name for backend in BACKENDS for package in backend.packages),
    "litert-converter",  # comes with litert-torch, and does its lowering
)


def versions() -> dict[str, str]:
    """Python's and every installed package's version, by name."""
    from importlib import metadata  # 30 ms, which `edgedeploy --help` does not need

    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
