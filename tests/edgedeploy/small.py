"""A small real artifact, made in milliseconds: a convolution for ONNX Runtime, with manifest and golden outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgedeploy.core.artifact import GOLDEN, MANIFEST, Artifact, Golden, Manifest
from edgedeploy.core.files import sha256_of, write_json
from edgedeploy.core.spec import TensorSpec

SHAPE = (1, 8, 16, 16)
MACS = 16 * 16 * 8 * 8


def convolution(folder: Path, *, golden_factor: float = 1.0, name: str = "small") -> Artifact:
    """y = 1x1 convolution of x. With another `golden_factor` its stored reference is not what it computes."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((8, 8, 1, 1)).astype(np.float32)
    value = {n: helper.make_tensor_value_info(n, TensorProto.FLOAT, SHAPE) for n in ("x", "y")}
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])], name, [value["x"]], [value["y"]],
        [numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    path = folder / "model.onnx"
    onnx.save(model, str(path))
    x = rng.standard_normal(SHAPE).astype(np.float32)
    y = np.einsum("oi,nihw->nohw", weight[:, :, 0, 0], x).astype(np.float32)
    Golden([[x]], [[y * np.float32(golden_factor)]]).save(folder / GOLDEN)
    manifest = Manifest(
        model=name,
        target="onnx-fp32",
        runner="onnxruntime",
        file=path.name,
        sha256=sha256_of(path),
        size_bytes=path.stat().st_size,
        inputs=(TensorSpec("x", SHAPE, "float32"),),
        outputs=(TensorSpec("y", SHAPE, "float32"),),
        parity=(),
        floor={"relative_error": 1e-4, "sqnr_db": None, "label_agreement": None},
        macs=MACS,
        made_by={"recipe": "fp32"},
    )
    write_json(folder / MANIFEST, manifest.to_json())
    return Artifact(folder, manifest)
