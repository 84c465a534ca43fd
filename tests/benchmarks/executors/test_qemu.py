"""An emulated CPU: counts, and no time anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import edgedeploy
from edgedeploy.core.artifact import write_manifest
from edgedeploy.core.provenance import OperatorFact
from tests.phones import need
from tests.small_artifacts import MACS, convolution


def test_an_emulated_cpu_gives_counts_and_no_time(tmp_path: Path) -> None:
    need(["aarch64-linux-gnu-g++", "qemu-aarch64", "unshare"])
    small = convolution(tmp_path / "small")
    edgedeploy.bench([small], device="qemu", threads=[1, 2], json_file=tmp_path / "r.json")
    (again,) = edgedeploy.bench([small], device="qemu")
    (record,) = json.loads((tmp_path / "r.json").read_text())["measurements"]
    assert record["latency_ns"] is record["load_ns"] is record["first_inference_ns"] is None
    assert record["samples_ns"] == record["sample_launches"] == []
    assert record["device"]["emulated"]
    count = record["instructions"]
    assert (count["cpu"], count["bound"]) == ("cortex-a76", MACS / 4)
    assert count["ratio"] == pytest.approx(count["total"] / count["bound"])
    assert sum(count["by_class"].values()) == count["total"] > count["bound"]
    assert again.instructions is not None
    assert again.instructions.total == pytest.approx(count["total"], rel=1e-4)
    assert record["parity"]["relative_error"] < 1e-5
    assert record["host_agreement"]["relative_error"] < 1e-5


def test_a_profile_has_each_operator_beside_what_its_file_says(tmp_path: Path) -> None:
    need(["aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++", "qemu-aarch64", "unshare"])
    small = convolution(tmp_path / "small")
    write_manifest(small.folder, small.manifest, (OperatorFact("conv", "Conv", "net.conv", macs=MACS),))
    edgedeploy.bench([small], device="qemu", profile=True, json_file=tmp_path / "r.json")
    (record,) = json.loads((tmp_path / "r.json").read_text())["measurements"]
    assert record["profile"] is None
    profile = record["instruction_profile"]
    assert profile["cpu"] == "cortex-a76"
    assert sum(row["instructions"] for row in profile["operators"]) + profile["outside_operators"] == profile["total"]
    assert profile["total"] > record["instructions"]["total"]
    (row,) = profile["operators"]
    assert (row["type"], row["module"], row["macs"], row["bound"]) == ("Conv", "net.conv", MACS, MACS / 4)
    assert row["ratio"] == pytest.approx(row["instructions"] / row["bound"])
    assert row["share"] == pytest.approx(row["instructions"] / profile["total"])
    assert row["instructions"] > row["useful"] >= row["bound"]
