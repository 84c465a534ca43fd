"""Scales of the operands of concatenations in ExecuTorch's int8 files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgedeploy.core.recipe import NumberFormat, RecipeRule, Scope
from edgedeploy.core.recipes import STATIC_INT8
from edgedeploy.exporters.executorch_quantizer.concatenations import CONCATENATION
from edgedeploy.exporters.job import ExportJob
from edgedeploy.exporters.to_executorch import quantized_network, to_executorch
from edgedeploy.models.rewrites import capture
from tests.exporters.small_network import export_job

aten = torch.ops.aten


class Branches(nn.Module):
    """The first half of the channels goes on as it is, and to a layer with far larger values: both are put together."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.layer = nn.Conv2d(4, 4, 1)
        with torch.no_grad():
            self.layer.weight.mul_(factor)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        return torch.cat((x, y), 1).relu()


def job(folder: Path, factor: float) -> ExportJob:
    torch.manual_seed(0)
    x = torch.randn(1, 4, 8, 8)
    return export_job(capture(Branches(factor).eval(), (x,)), x, folder / "model.pte", STATIC_INT8, [x])


def scales(network: torch.fx.GraphModule) -> tuple[float, float, int]:
    """Of the layer's input and of the concatenation, and how many activations are quantized."""
    nodes = list(network.graph.nodes)
    quantize = torch.ops.quantized_decomposed.quantize_per_tensor.default
    (layer,) = (node for node in nodes if node.target == aten.conv2d.default)
    (cat,) = (node for node in nodes if node.target == aten.cat.default)
    own, shared = layer.args[0].args[1], {operand.args[1] for operand in cat.args[0]}
    assert len(shared) == 1, "all operands of a concatenation have one scale"
    assert next(iter(cat.users)).args[1] in shared, "and so has its result"
    return own, shared.pop(), sum(node.target == quantize for node in nodes)


def test_an_operand_with_a_far_smaller_range_keeps_its_own_scale(tmp_path: Path) -> None:
    own, shared, conversions = scales(quantized_network(job(tmp_path, 20.0)))
    assert own < shared / 5
    assert conversions == 5, "x, x again for the concatenation, the layer, the concatenation, its ReLU"


def test_operands_with_similar_ranges_get_one_scale_and_no_further_conversion(tmp_path: Path) -> None:
    own, shared, conversions = scales(quantized_network(job(tmp_path, 2.0)))
    assert own == shared
    assert conversions == 4


@pytest.mark.parametrize("factor", [2.0, 20.0])
def test_the_file_runs_in_the_delegate_and_is_near_the_float_network(factor: float, tmp_path: Path) -> None:
    from executorch.runtime import Runtime

    asked = job(tmp_path, factor)
    lowered = to_executorch(asked)
    assert all(
        operator.delegated for operator in lowered.operators if "alias" in operator.type or "cat" in operator.type
    )
    assert not any("alias" in operator.type for operator in lowered.operators)
    (x,) = asked.example_inputs
    (found,) = Runtime.get().load_program(asked.path).load_method("forward").execute([x])
    with torch.no_grad():
        exact = asked.module(x)
    noise = float((found - exact).square().mean() / exact.square().mean())
    assert 10 * np.log10(noise) < -30


class ReadInFloat(Branches):
    """All that reads the concatenation is in float."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, self.layer(x)), 1).reshape(1, 8, 64).relu().exp()


def concatenation_is_quantized(network: torch.fx.GraphModule) -> bool:
    (cat,) = (node for node in network.graph.nodes if node.target == aten.cat.default)
    return any("dequantize" not in str(reader.target) and "quantize" in str(reader.target) for reader in cat.users)


def test_a_concatenation_that_only_float_operators_read_is_float(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 4, 8, 8)
    captured = capture(ReadInFloat(20.0).eval(), (x,))
    network = quantized_network(export_job(captured, x, tmp_path / "model.pte", STATIC_INT8, [x]))
    assert not concatenation_is_quantized(network)


def test_a_rule_leaves_a_concatenation_in_float(tmp_path: Path) -> None:
    rule = RecipeRule(NumberFormat.FLOAT32, Scope(operator=CONCATENATION))
    plain = job(tmp_path, 20.0)
    asked = replace(plain, recipe=replace(STATIC_INT8, rules=(*STATIC_INT8.rules, rule)))
    assert concatenation_is_quantized(quantized_network(plain))
    assert not concatenation_is_quantized(quantized_network(asked))
