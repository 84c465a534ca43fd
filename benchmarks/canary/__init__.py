"""The canary: a small artifact that never changes. Measured between others, it shows when the machine itself changed.

`python -m edgedeploy.studies.canary` made the files, with this project's own exporters.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgedeploy.benchmarks.executors import Workload
from edgedeploy.core.storage.files import sha256_of

FOLDER = Path(__file__).parent
FILES = {"onnxruntime": "canary.onnx", "executorch": "canary.pte", "litert": "canary.tflite"}
INPUT_SHAPES = {"onnxruntime": (1, 3, 64, 64), "executorch": (1, 3, 64, 64), "litert": (1, 64, 64, 3)}


def canary_workload(runtime: str) -> Workload:
    """The canary of a runtime, which is the one that measures beside it: no other has to be built for the device."""
    path = FOLDER / FILES[runtime]
    image = np.random.default_rng(0).standard_normal(INPUT_SHAPES[runtime]).astype(np.float32)
    return Workload("canary", runtime, path, sha256_of(path), [[image]])
