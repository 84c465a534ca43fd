"""Which versions of what are installed; asked of the metadata, so nothing is imported."""

from __future__ import annotations

import platform
from importlib import metadata

EDGEDEPLOY_VERSION = "0.1.0"  # of this package; pyproject.toml has the same

PACKAGES = (
    "numpy",
    "torch",
    "torchao",
    "onnx",
    "onnxscript",
    "onnxsim",
    "onnxruntime",
    "executorch",
    "litert-torch",
    "litert-converter",
    "ai-edge-litert",
    "ai-edge-quantizer",
)


def versions() -> dict[str, str]:
    """Python's and every installed package's version, by name."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
