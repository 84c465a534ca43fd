"""Small real artifacts with manifest and golden outputs: a convolution for ONNX Runtime, made in milliseconds, and a
convolution beside a mean for each runtime.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgedeploy.core.artifact import GOLDEN, Artifact, Golden, Manifest, write_manifest
from edgedeploy.core.parity import Threshold
from edgedeploy.core.provenance import Provenance, WeightsInfo
from edgedeploy.core.recipes import FP32
from edgedeploy.core.spec import TensorSpec
from edgedeploy.core.storage.files import sha256_of
from tests.android_harness import tiny_models

TARGET_OF = {"onnxruntime": "onnx-fp32", "executorch": "executorch-fp32", "litert": "tflite-fp32"}
MACS = 16 * 16 * 8**2


def convolution(folder: Path, *, golden_factor: float = 1.0, name: str = "small", channels: int = 8) -> Artifact:
    """y = 1x1 convolution of x. With another `golden_factor` its stored reference is not what it computes.

    A file of more `channels` is larger: 4 bytes for each of their square.
    """
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    shape = (1, channels, 16, 16)
    weight = rng.standard_normal((channels, channels, 1, 1)).astype(np.float32)
    value = {n: helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("x", "y")}
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], name="conv")], name, [value["x"]], [value["y"]],
        [numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    path = folder / "model.onnx"
    onnx.save(model, str(path))
    x = rng.standard_normal(shape).astype(np.float32)
    y = np.einsum("oi,nihw->nohw", weight[:, :, 0, 0], x).astype(np.float32)
    return described(name, "onnxruntime", path, Golden([[x]], [[y * np.float32(golden_factor)]]), 16 * 16 * channels**2)


def tiny(runtime: str, folder: Path, factory: pytest.TempPathFactory) -> Artifact:
    """The tiny model of the runner's own tests as an artifact; its reference is what Python's runtime gives."""
    made = tiny_models.once(runtime, factory)
    folder.mkdir(parents=True)
    path = Path(shutil.copy(made.path, folder))
    return described("tiny", runtime, path, Golden([made.inputs], [made.outputs]), tiny_models.MACS)


def described(name: str, runtime: str, path: Path, golden: Golden, macs: int) -> Artifact:
    """The file with golden outputs and a manifest beside it."""
    golden.save(path.parent / GOLDEN)
    specs = [
        tuple(TensorSpec(f"{kind}{index}", array.shape, "float32") for index, array in enumerate(arrays))
        for kind, arrays in (("x", golden.inputs[0]), ("y", golden.outputs[0]))
    ]
    manifest = Manifest(
        model=name,
        target=TARGET_OF[runtime],
        runtime=runtime,
        file=path.name,
        sha256=sha256_of(path),
        size_bytes=path.stat().st_size,
        inputs=specs[0],
        outputs=specs[1],
        parity=(),
        threshold=Threshold(relative_error=1e-4),
        provenance=Provenance("0", "2026-01-01T00:00:00+00:00", WeightsInfo("factory"), FP32),
        macs=macs,
    )
    write_manifest(path.parent, manifest, ())
    return Artifact(path.parent, manifest)
