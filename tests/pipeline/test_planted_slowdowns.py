"""Slowdowns whose cause is known: one operator too many, and a rewrite switched off. Each is found, and named."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import edgedeploy
from edgedeploy.core.artifact import Artifact, Golden
from edgedeploy.pipeline.measuring.interleaved import bench_interleaved
from edgedeploy.studies.gate import network
from tests.phones import need
from tests.small_artifacts import described

SHAPE = (1, 12, 48, 48)


def chain(folder: Path, names: tuple[str, ...]) -> Artifact:
    """3x3 convolutions of these names, one after the other; without a reference, as parity is not what is looked at."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    weight = numpy_helper.from_array((0.05 * rng.standard_normal((12, 12, 3, 3))).astype(np.float32), "w")
    values = ["x", *names[:-1], "y"]  # on x86 ONNX Runtime names an operator by its output
    nodes = [
        helper.make_node("Conv", [source, "w"], [target], name=name, pads=[1, 1, 1, 1])
        for name, source, target in zip(names, values[:-1], values[1:], strict=True)
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:], [weight])
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), str(path))
    x = rng.standard_normal(SHAPE).astype(np.float32)
    return described("chain", "onnxruntime", path, Golden([[x]], [[x]]), 9 * 12 * 12 * 48 * 48 * len(names))


@pytest.fixture
def planted(tmp_path: Path, own_folders: None) -> list[Artifact]:
    """Base, and the same with the operator "extra" in the middle: a quarter more work."""
    names = ("conv0", "conv1", "conv2", "conv3")
    return [chain(tmp_path / "base", names), chain(tmp_path / "head", (*names[:2], "extra", *names[2:]))]


@pytest.mark.slow
def test_one_operator_too_many_is_named_by_wall_time(planted: list[Artifact]) -> None:
    need(["g++", "cmake", "ninja"])
    (pair,) = bench_interleaved(planted, profile=True)
    assert pair.verdict == "slower"
    assert pair.figure("p10").change > 0.1
    assert any("extra" in cause and "is new" in cause for cause in pair.causes)


@pytest.mark.slow
def test_one_operator_too_many_is_named_by_its_instructions(planted: list[Artifact]) -> None:
    need(["aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++", "qemu-aarch64", "unshare"])
    base, head = (edgedeploy.bench([artifact], device="qemu", profile=True) for artifact in planted)
    (row,) = edgedeploy.compare(base, head).rows
    assert row.verdict == "slower"
    assert row.causes[0].startswith("operator extra (Conv) is new: +")
    assert "M instructions" in row.causes[0]


@pytest.mark.slow
def test_a_rewrite_that_is_switched_off_is_named(tmp_path: Path, own_folders: None) -> None:
    need(["aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++", "qemu-aarch64", "unshare"])
    rows = []
    for name, without in (("base", ()), ("head", ("fold_attention_scale",))):
        artifacts = edgedeploy.export(
            f"{network.__file__}:make",
            "tflite-fp32",
            inputs=("1x3x64x64",),
            output=tmp_path / name,
            allow_low_parity=True,
            without_rewrites=without,
        )
        rows.append(edgedeploy.bench(artifacts, device="qemu", profile=True))
    (row,) = edgedeploy.compare(*rows).rows
    assert row.verdict == "slower"
    assert "rewrite fold_attention_scale was applied 1 times in base, 0 times in head" in row.causes
    assert row.causes[0].startswith("operator Multiply (ND) #0 is new: +")


CHAIN = """\
import torch
from torch import nn

def make():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), *[nn.Conv2d(8, 8, 3, 1, 1) for _ in range({count})]).eval()
"""


@pytest.mark.slow
def test_one_convolution_of_a_tflite_file_is_named_with_its_module(tmp_path: Path, own_folders: None) -> None:
    """XNNPACK calls all of them alike, and numbers them."""
    need(["aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++", "qemu-aarch64", "unshare"])
    rows = []
    for name, count in (("base", 2), ("head", 3)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "net.py").write_text(CHAIN.format(count=count))
        network_file, output = f"{tmp_path / name / 'net.py'}:make", tmp_path / f"{name}-artifacts"
        artifacts = edgedeploy.export(network_file, "tflite-fp32", inputs=("1x3x32x32",), output=output)
        rows.append(edgedeploy.bench(artifacts, device="qemu", profile=True))
    (row,) = edgedeploy.compare(*rows).rows
    assert row.verdict == "slower"
    assert re.match(r"operator Convolution \(NHWC, F32\) \S+ #\d+ of 4 is new: \+", row.causes[0])
    assert not any("is gone" in cause for cause in row.causes)
