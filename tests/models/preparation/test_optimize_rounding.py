"""Weights of a layer that are rounded to int8 together, on single layers whose inputs belong together."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from edgedeploy.core.recipe import NumberFormat, Preparation, Region
from edgedeploy.core.recipes import FP32, STATIC_INT8
from edgedeploy.models.preparation import prepared_for
from edgedeploy.models.preparation.layers import is_layer, weight_of
from edgedeploy.models.rewrites import capture
from edgedeploy.models.rewrites.graph import Graph

ROUNDED = dataclasses.replace(STATIC_INT8, prepare=(Preparation.OPTIMIZE_ROUNDING,), min_layer_sqnr_db=None)

LAYERS = {
    "pointwise": lambda: nn.Conv2d(32, 8, 1),
    "strided": lambda: nn.Conv2d(32, 8, 3, stride=2, padding=1),
    "dilated, as wide as its input": lambda: nn.Conv2d(32, 8, (3, 2), padding="same", dilation=2),
    "grouped": lambda: nn.Conv2d(32, 8, 3, groups=4),
    "depthwise": lambda: nn.Conv2d(32, 32, 5, padding=2, groups=32),
    "linear": lambda: nn.Linear(12, 8),
}


def images(seed: int, side: int = 12) -> Tensor:
    """Smooth maps behind a ReLU, which neighbouring pixels and all channels have in common."""
    noise = torch.rand(1, 32, side + 4, side + 4, generator=torch.Generator().manual_seed(seed))
    return (F.avg_pool2d(noise, 5, stride=1) + noise[:, :1, 2:-2, 2:-2] - 0.4).relu()


def captured(layer: nn.Module, seed: int = 0) -> fx.GraphModule:
    return capture(layer.eval(), (images(seed),))


def made(name: str) -> nn.Module:
    torch.manual_seed(0)
    return LAYERS[name]()


def nearest(layer: nn.Module) -> nn.Module:
    """The layer with each weight at the nearest of its int8 values."""
    with torch.no_grad():
        rows = layer.weight.flatten(1)  # type: ignore[operator]
        step = rows.abs().amax(1, keepdim=True) / 127
        layer.weight[:] = ((rows / step).round() * step).view_as(layer.weight)  # type: ignore[operator, arg-type]
    return layer


def weight_in(module: fx.GraphModule) -> Tensor:
    graph = Graph(module)
    return next(weight_of(graph, node) for node in graph.nodes() if is_layer(graph, node)).detach()


@pytest.mark.parametrize("name", LAYERS)
def test_outputs_on_other_images_are_nearer_to_the_float_layers(name: str) -> None:
    exact = captured(made(name))
    rounded = prepared_for(ROUNDED, exact, [(images(seed),) for seed in range(8)]).module
    by_nearest, other = nearest(made(name)), [images(seed) for seed in range(100, 108)]
    with torch.no_grad():
        ours, plain = (sum(float((net(x) - exact(x)).square().mean()) for x in other) for net in (rounded, by_nearest))
    assert 0 < ours < 0.8 * plain


def test_each_weight_is_a_neighbour_of_its_exact_value_and_the_largest_one_stays() -> None:
    exact = captured(made("pointwise"))
    before, after = (weight_in(m).flatten(1) for m in (exact, prepared_for(ROUNDED, exact, [(images(0),)]).module))
    step = before.abs().amax(1, keepdim=True) / 127
    torch.testing.assert_close(after.abs().amax(1), before.abs().amax(1))
    torch.testing.assert_close(after / step, (after / step).round(), rtol=0, atol=1e-4)
    assert float(((after - before) / step).abs().max()) < 1.001


def test_large_maps_are_read_at_evenly_spread_positions() -> None:
    exact = capture(made("strided").eval(), (images(0, 200),))
    rounded = prepared_for(ROUNDED, exact, [(images(0, 200),)]).module
    assert rounded(images(1, 200)).isfinite().all()


def test_an_input_that_is_always_zero_gives_no_nan() -> None:
    rounded = prepared_for(ROUNDED, captured(made("pointwise")), [(torch.zeros(1, 32, 12, 12),)]).module
    assert weight_in(rounded).isfinite().all()


def test_layers_in_float_stay() -> None:
    module = captured(made("pointwise"))
    name = next(node.name for node in module.graph.nodes if node.op == "call_function")
    in_float = dataclasses.replace(FP32, prepare=ROUNDED.prepare)
    half = dataclasses.replace(
        in_float, rules=(dataclasses.replace(FP32.rules[0], format=NumberFormat.FLOAT16_WEIGHTS),)
    )
    samples = [(images(0),)]
    assert prepared_for(in_float, module, samples).module is module
    assert prepared_for(half, module, samples).module is module
    assert prepared_for(ROUNDED, module, samples, {name: Region.NORMALIZATION}).module is module


@pytest.mark.parametrize("operator", ["convolution", "CONV_2D", "Conv"])
def test_layers_that_a_rule_in_any_runtimes_words_leaves_in_float_stay(operator: str) -> None:
    from edgedeploy.core.recipe import RecipeRule, Scope

    module = captured(made("pointwise"))
    recipe = ROUNDED.with_rules(RecipeRule(NumberFormat.FLOAT32, Scope(operator=operator)))
    assert prepared_for(recipe, module, [(images(0),)]).module is module


def test_a_weight_of_two_layers_stays() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(32, 32, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(self.layer(x))

    module = captured(Twice())
    assert prepared_for(ROUNDED, module, [(images(0),)]).module is module


def test_with_both_preparations_a_bias_is_corrected_only_where_the_weight_is_shared() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shared, self.own = nn.Conv2d(32, 32, 1), nn.Conv2d(32, 32, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.own(self.shared(self.shared(x).relu()).relu())

    torch.manual_seed(0)
    both = dataclasses.replace(ROUNDED, prepare=(Preparation.OPTIMIZE_ROUNDING, Preparation.CORRECT_BIAS))
    graph = Graph(prepared_for(both, captured(Net()), [(images(0),)]).module)
    changed = [(str(n.args[1]), str(n.args[2])) for n in graph.nodes() if is_layer(graph, n)]
    assert [("rounded" in weight, "corrected" in bias) for weight, bias in changed] == [
        (False, True),
        (False, True),
        (True, False),
    ]
