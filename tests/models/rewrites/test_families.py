"""What the rewrites do to the zoo's own networks."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import fx

from edgedeploy.exporters.targets import TARGETS
from edgedeploy.models.rewrites import ALL, RewrittenModule, apply, capture, seeded_inputs
from edgedeploy.models.rewrites.rewrite import rewrite_once
from tests.models.families import SMALLEST, named

from .tools import operators


@cache
def rewritten_for(target: str, name: str) -> tuple[fx.GraphModule, RewrittenModule]:
    """A network as captured, and as the target wants it."""
    inputs = seeded_inputs([(1, 3, *named(name).input_size)], seed=0)
    captured = capture(named(name).build(), inputs)
    return captured, apply([r for r in ALL if r.name in TARGETS[target].rewrites], captured, [inputs])


def applied(done: RewrittenModule) -> dict[str, int]:
    return {step.rewrite: step.applied for step in done.outcomes if step.applied}


@pytest.mark.parametrize("name", [spec.name for spec in SMALLEST])
@pytest.mark.parametrize("target", ["onnx-fp32", "tflite-int8"])
def test_every_family_keeps_its_outputs(name: str, target: str) -> None:
    captured, done = rewritten_for(target, name)
    (x,) = seeded_inputs([(1, 3, *named(name).input_size)], seed=5)
    with torch.no_grad():
        expected, actual = captured(x), done.module(x)
    assert (expected - actual).abs().max() < max(2e-5, done.rounding_error) * expected.std()


@pytest.mark.parametrize("name", [spec.name for spec in SMALLEST])
def test_no_family_divides_splits_or_pools_adaptively_any_more(name: str) -> None:
    left = operators(rewritten_for("tflite-int8", name)[1].module)
    gone = ("div", "split", "split_with_sizes", "unbind", "roll", "linalg_vector_norm", "adaptive_avg_pool2d")
    assert {operator: left[f"aten.{operator}"] for operator in gone} == dict.fromkeys(gone, 0)


def test_edgenext_computes_its_position_encoding_once_at_export() -> None:
    captured, _ = rewritten_for("onnx-fp32", "edgenext-xx-small")
    folded, _, declined = rewrite_once(ALL["fold_constants"], captured)
    before, after = operators(captured), operators(folded)
    computed = ("aten.sin", "aten.cos", "aten.pow", "aten.arange", "aten.stack")
    assert before["aten.sin"] > 0
    assert {operator: after[operator] for operator in computed} == dict.fromkeys(computed, 0)
    assert before["aten.conv2d"] - after["aten.conv2d"] == 1, "the projection of the encoding is computed too"
    assert not declined


def test_conv2former_is_left_without_a_permute_where_the_runtime_is_channel_first() -> None:
    left = operators(rewritten_for("onnx-fp32", "conv2former-n")[1].module)
    assert (left["aten.permute"], left["aten.transpose"], left["aten.layer_norm"]) == (0, 0, 0)


def test_swin_has_neither_rolls_nor_masks_to_compute_nor_six_dimensional_values() -> None:
    _, done = rewritten_for("onnx-fp32", "swin-tiny")
    left = operators(done.module)
    assert [left[f"aten.{name}"] for name in ("roll", "where", "ne", "repeat", "arange")] == [0] * 5
    assert max(n.meta["val"].ndim for n in done.module.graph.nodes if n.op == "call_function") == 4


def test_edgevit_picks_its_sparse_grid_with_a_stride() -> None:
    _, done = rewritten_for("onnx-fp32", "edgevit-xxs")
    assert applied(done)["pool1x1_to_stride"] == 5
    assert operators(done.module)["aten.avg_pool2d"] == 0


@pytest.mark.parametrize(("name", "blocks"), [("swin-tiny", 12), ("edgevit-xxs", 7), ("mobilevit-s", 9)])
def test_the_query_scale_of_every_attention_goes_into_a_projection(name: str, blocks: int) -> None:
    assert applied(rewritten_for("onnx-fp32", name)[1])["fold_attention_scale"] == blocks
