"""Layers that int8 cannot hold: a depthwise layer whose kernels find edges, behind a stem."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor, fx, nn

from edgedeploy.core.recipe import NumberFormat, Region
from edgedeploy.core.recipes import STATIC_INT8
from edgedeploy.models.preparation import prepared_for
from edgedeploy.models.preparation.layers import is_layer, rounded_to_nearest, weight_of
from edgedeploy.models.rewrites import capture
from edgedeploy.models.rewrites.graph import Graph, module_path

PLAIN = dataclasses.replace(STATIC_INT8, prepare=())


class Edges(nn.Module):
    """A stem, a depthwise layer that takes differences of pixels, and two layers.

    Args:
        sum_of_kernel: what is left of its weights' sum.
    """

    def __init__(self, sum_of_kernel: float) -> None:
        super().__init__()
        self.stem, self.act = nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU6(inplace=True)
        self.edges = nn.Conv2d(16, 16, 3, groups=16, bias=False)
        self.mix, self.head = nn.Conv2d(16, 32, 1, bias=False), nn.Linear(32, 10, bias=False)
        with torch.no_grad():
            self.stem.weight.abs_()
            self.edges.weight -= self.edges.weight.mean((2, 3), keepdim=True) - sum_of_kernel / 9

    def forward(self, x: Tensor) -> Tensor:
        y = self.mix(self.edges(self.act(self.stem(x)))).relu()
        return self.head(y.mean((2, 3)))


def images(count: int) -> list[tuple[Tensor, ...]]:
    """Bright ones, whose pixels differ little from their neighbours."""
    generator = torch.Generator().manual_seed(1)
    return [(1 + 0.05 * torch.randn(1, 3, 32, 32, generator=generator),) for _ in range(count)]


def network(sum_of_kernel: float = 0.0) -> fx.GraphModule:
    torch.manual_seed(0)
    return capture(Edges(sum_of_kernel).eval(), images(1)[0])


def layer(module: fx.GraphModule, path: str) -> tuple[Graph, fx.Node]:
    graph = Graph(module, copied=False)
    return graph, next(node for node in graph.nodes() if is_layer(graph, node) and module_path(node) == path)


def test_a_layer_whose_products_cancel_stays_in_float() -> None:
    made = prepared_for(PLAIN, network(), images(8))
    assert [(found.module, found.rounded) for found in made.in_float] == [("edges", "weights")]
    in_float = {path: made.recipe.format_of("Conv", path) is NumberFormat.FLOAT32 for path in ("stem", "edges", "mix")}
    assert in_float == {"stem": False, "edges": True, "mix": False}


def test_so_does_the_layer_that_it_reads_where_rounding_that_costs_as_much() -> None:
    made = prepared_for(dataclasses.replace(PLAIN, min_layer_sqnr_db=49), network(), images(8))
    assert [(found.module, found.rounded) for found in made.in_float] == [("edges", "weights"), ("stem", "output")]


def test_its_figure_is_that_of_the_network_with_only_its_weights_rounded() -> None:
    exact, samples = network(), images(4)
    (edges, *_) = prepared_for(PLAIN, exact, samples).in_float
    with torch.no_grad():
        before = [exact(*sample) for sample in samples]
        graph, node = layer(exact, "edges")
        weight = weight_of(graph, node)
        weight.copy_(rounded_to_nearest(weight))
        shares = [
            float((exact(*x) - y).square().sum() / y.square().sum()) for x, y in zip(samples, before, strict=True)
        ]
    assert edges.sqnr_db == pytest.approx(-10 * math.log10(sum(shares) / 4), abs=0.01)


def test_layers_that_stay_in_float_keep_their_weights() -> None:
    exact, recipe = network(), dataclasses.replace(STATIC_INT8, min_layer_sqnr_db=57)
    made = prepared_for(recipe, exact, images(8)).module
    kept = {
        path: torch.equal(weight_of(*layer(exact, path)), weight_of(*layer(made, path))) for path in ("edges", "mix")
    }
    assert kept == {"edges": True, "mix": False}


def test_layers_whose_products_add_up_are_all_int8() -> None:
    made = prepared_for(PLAIN, network(sum_of_kernel=1.0), images(8))
    assert (made.in_float, made.recipe) == ((), PLAIN)


def test_a_recipe_without_a_bound_leaves_all_layers_in_int8() -> None:
    recipe = dataclasses.replace(PLAIN, min_layer_sqnr_db=None)
    assert prepared_for(recipe, network(), images(8)).in_float == ()


def test_layers_that_are_float_already_are_not_named() -> None:
    exact = network()
    name = layer(exact, "edges")[1].name
    assert prepared_for(PLAIN, exact, images(8), {name: Region.NORMALIZATION}).in_float == ()
    assert prepared_for(PLAIN.excluding("edges"), exact, images(8)).in_float == ()


def test_nothing_is_estimated_behind_an_output_without_gradients() -> None:
    class Labels(Edges):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).argmax(1)

    torch.manual_seed(0)
    labels = capture(Labels(0.0).eval(), images(1)[0])
    assert prepared_for(PLAIN, labels, images(2)).in_float == ()
