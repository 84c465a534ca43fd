"""Measurements as bench gives them to the tables."""

from __future__ import annotations

from typing import Any

from edgedeploy.core.device import DeviceInfo
from edgedeploy.core.measurement import Latency, Measurement

PHONE = DeviceInfo(
    kind="adb", name="adb:serial", manufacturer="Google", model="Pixel 7", soc="Tensor GS201", abis=("arm64-v8a",),
    os="Android 14", api_level=34,
)  # fmt: skip


def measurement(**changes: Any) -> Measurement:
    """A row of 50 inferences on a phone, each of 2 ms."""
    return Measurement(
        **{
            "model": "net",
            "target": "onnx-fp32",
            "runtime": "onnxruntime",
            "runtime_version": "1.31.1",
            "artifact": "artifacts/net/onnx-fp32",
            "artifact_sha256": "",
            "size_bytes": 3 * 2**20,
            "device": PHONE,
            "threads": 1,
            "latency_ns": Latency(2_000_000, 2_000_000, 2_000_000, None, 2_000_000, 50),
            "samples_ns": (2_000_000,) * 50,
            "sample_launches": (0,) * 50,
            "load_ns": 30_000_000,
            "first_inference_ns": 4_000_000,
            "peak_rss_bytes": 48 * 2**20,
            **changes,
        }
    )
