"""edgedeploy: ship vision networks on Arm CPUs: rewrite, lower, verify and measure them.

import edgedeploy

net = edgedeploy.create_model("topformer-tiny")
artifacts = edgedeploy.export("topformer-tiny", "tflite-int8")
for row in edgedeploy.bench(artifacts):
    print(row.target, row.latency_ns.median / 1e6, "ms")
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from edgedeploy.core.versions import EDGEDEPLOY_VERSION

__version__ = EDGEDEPLOY_VERSION

# ONNX Runtime reports home unless told not to before it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from edgedeploy.models.loading import create_model
    from edgedeploy.pipeline.bench import bench
    from edgedeploy.pipeline.evaluate import evaluate
    from edgedeploy.pipeline.export import export
    from edgedeploy.pipeline.results.compare import compare
    from edgedeploy.pipeline.verify import verify

__all__ = ["create_model", "export", "verify", "evaluate", "bench", "compare", "__version__"]

_HOMES = {
    "create_model": "models.loading",
    "export": "pipeline.export",
    "verify": "pipeline.verify",
    "evaluate": "pipeline.evaluate",
    "bench": "pipeline.bench",
    "compare": "pipeline.results.compare",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'edgedeploy' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
