"""The search for the operator that a converter fails at, with converters that are fakes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, fx, nn

from edgedeploy.core.errors import RunnerFailed
from edgedeploy.exporters.job import SharedWork
from edgedeploy.exporters.targets import TARGETS
from edgedeploy.models.rewrites import RewrittenModule, capture
from edgedeploy.pipeline.export import stages
from edgedeploy.pipeline.export.blame.conversion_errors import explain_lowering
from edgedeploy.pipeline.export.blame.failing_operator import described, prefix, search
from edgedeploy.pipeline.export.blame.refused_file import first_refused


class Spectrum(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.cos().cumsum(-1)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.spectrum = nn.Conv2d(3, 4, 3), Spectrum()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.conv(x).relu()
        return {"sum": self.spectrum(x).tanh(), "x": x}


@pytest.fixture(scope="module")
def network() -> fx.GraphModule:
    return capture(Network().eval(), (torch.zeros(1, 3, 8, 8),))


def has(module: fx.GraphModule, operator: str) -> bool:
    return any(operator in str(node.target) for node in module.graph.nodes)


def test_the_first_operator_that_does_not_convert_is_found_and_described(network: fx.GraphModule) -> None:
    found = search(network, lambda module: not has(module, "cumsum"), deadline=time.monotonic() + 60)
    assert found is not None
    operator, module, line = described(found)
    assert (operator, module) == ("operator: aten.cumsum of 1x4x6x6", "module: spectrum")
    assert line.endswith("in forward: return x.cos().cumsum(-1)")
    assert "test_failing_operator.py:" in line


def test_a_prefix_computes_what_the_network_has_computed_there(network: fx.GraphModule) -> None:
    relu = next(node for node in network.graph.nodes if "relu" in node.name)
    x = torch.randn(1, 3, 8, 8)
    assert torch.equal(prefix(network, relu)(x), network(x)["x"])


def test_nothing_is_found_where_all_converts_or_time_is_up(network: fx.GraphModule) -> None:
    assert search(network, lambda _: True, deadline=time.monotonic() + 60) is None
    assert search(network, lambda _: False, deadline=time.monotonic() - 1) is None


def test_a_converter_that_names_nothing_is_explained_by_the_search(network: fx.GraphModule, tmp_path: Path) -> None:
    node = next(node for node in network.graph.nodes if "cumsum" in node.name)
    error = explain_lowering(RuntimeError("went wrong"), "tflite-fp32", "net", tmp_path / "no", network, lambda: node)
    assert error.details[:2] == ("operator: aten.cumsum of 1x4x6x6", "module: spectrum")
    assert "RuntimeError: went wrong" in error.details


def test_a_converter_that_names_the_operator_gets_no_search(network: fx.GraphModule, tmp_path: Path) -> None:
    def find() -> fx.Node:
        raise AssertionError("searched")

    error = explain_lowering(RuntimeError("no aten.cumsum.default"), "onnx-fp32", "net", tmp_path, network, find)
    assert error.details[:2] == ("operator: aten.cumsum.default", "module: spectrum")
    assert "return x.cos().cumsum(-1)" in error.details[2]


def test_branches_that_halving_passed_over_do_not_take_the_blame() -> None:
    class Branches(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x.cos().cumsum(-1)
            return y + x.tanh().sin().exp()

    module = capture(Branches().eval(), (torch.zeros(1, 4),))
    found = search(module, lambda shorter: not has(shorter, "cumsum"), deadline=time.monotonic() + 60)
    assert found is not None
    assert "cumsum" in found.name


@dataclass(frozen=True)
class Named:
    output_names: tuple[str, ...] = ("a", "b")


@dataclass(frozen=True)
class Prepared:
    network: Named = Named()


def test_the_operator_that_a_runtime_refuses_a_file_for_is_found(
    network: fx.GraphModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(prepared: Prepared, target: object, lowered: fx.GraphModule) -> None:
        assert prepared.network.output_names == ("output",)
        if has(lowered, "cumsum"):
            raise RunnerFailed("it does not run")

    monkeypatch.setattr(stages, "lower", lambda _prepared, rewritten, *_: rewritten.module)
    monkeypatch.setattr(stages, "run", run)
    options = stages.LowerOptions(tmp_path, SharedWork(tmp_path, tmp_path / "log"))
    rewritten = RewrittenModule(network, (), 0.0)
    found = first_refused(cast(Any, Prepared()), rewritten, TARGETS["executorch-int8"], options)
    assert found[:2] == ["operator: aten.cumsum of 1x4x6x6", "module: spectrum"]
