"""Finds layers whose weights int8 cannot hold.

Where a kernel finds edges, its weights nearly add up to zero, and so do its products: the sum is a small part of each of
them. Rounding a weight moves a product by up to 1/254 of the largest weight's, which may be as much as the sum. The first
depthwise layer of a trained network often has such kernels, and loses more there than all other layers together.

Candidates are found by an estimate of first order, which takes as long for all layers as for one. Where a layer's output
moves by d, the network's moves by J d, and for random signs v

    E (v^T J d)^2 = |J d|^2,

where v^T J is the gradient of v^T y at the layer's output (Hutchinson, A Stochastic Estimator of the Trace of the Influence
Matrix, 1989). The candidates are then measured: the network runs with nothing but this layer's weights rounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from edgedeploy.models.rewrites.graph import PADS, Graph, Inputs, argument, module_path, single_user

from .layers import is_layer, rounded_to_nearest, weight_of
from .samples import writes_into_arguments

SAMPLES = 4  # that a candidate is measured on
SAMPLES_OF_ESTIMATE = 2
PASSES = 4  # back, for each sample of the estimate
NEAR = 8  # an estimate from so few passes is rarely so many times too small
MAX_CANDIDATES = 8
OF_INPUT = 0.5  # of the error that a layer's weights may cause: more from its input is worth another float layer

_Moved = Callable[[fx.Node, Tensor, Tensor], Tensor]  # by how much a layer's output moves, from its input and output


@dataclass(frozen=True)
class SensitiveLayer:
    """A layer that stays in float.

    Attributes:
        module: its path in the original network.
        sqnr_db: what the network's output would have if nothing but `rounded` were rounded.
        rounded: "weights", or "output" where it is another layer that is sensitive to what this one gives.
    """

    module: str
    sqnr_db: float
    rounded: str = "weights"

    def __str__(self) -> str:
        return f"{self.module} ({self.sqnr_db:.1f} dB with {self.rounded} in int8)"


def sensitive_layers(
    exact: fx.GraphModule,
    rounded: fx.GraphModule,
    samples: Sequence[Inputs],
    layers: Collection[str],
    min_sqnr_db: float,
) -> tuple[SensitiveLayer, ...]:
    """The layers whose rounded weights alone leave the network's output less than `min_sqnr_db`.

    Such a layer is sensitive to its input's rounding too, which float weights do not change. Where that costs at least
    half as much as the bound, the layer that gives the input is named as well.

    Args:
        rounded: the network with the weights and biases that it has in int8; nodes have the same names.
        layers: those that are in int8, named by their nodes.
    """
    most = float(10 ** (-min_sqnr_db / 10))
    in_int8 = Graph(rounded, copied=False)
    by_name = {node.name: node for node in in_int8.nodes() if node.name in layers}
    pair = _Pair(Graph(exact, copied=False), in_int8, by_name)
    named = [node for node in pair.exact.nodes() if node.name in layers and module_path(node)]
    estimates = _estimates(pair, named, samples[:SAMPLES_OF_ESTIMATE])
    candidates = sorted((node for node in estimates if NEAR * estimates[node] > most), key=lambda n: -estimates[n])
    if not candidates:
        return ()
    samples = samples[:SAMPLES]
    outputs = [_outputs(pair.exact, sample) for sample in samples]

    def noise(node: fx.Node, moved: _Moved) -> float:
        """Of the output where a layer's output moves, as a share of the output's power."""
        changed = [_outputs(pair.exact, sample, {node: moved}) for sample in samples]
        return sum(map(_share, outputs, changed)) / len(samples)

    found: dict[str, SensitiveLayer] = {}
    for node in candidates[:MAX_CANDIDATES]:
        of_weights = noise(node, pair.moved_by_weights)
        if of_weights <= most:
            continue
        found[module_path(node)] = SensitiveLayer(module_path(node), _db(of_weights))
        giver = _giver(pair.exact, node)
        if giver in named:
            of_input = noise(node, pair.moved_by_input)
            if of_input > OF_INPUT * most:
                found.setdefault(module_path(giver), SensitiveLayer(module_path(giver), _db(of_input), "output"))
    return tuple(found.values())


@dataclass(frozen=True)
class _Pair:
    """A network, and the same with the weights that it has in int8."""

    exact: Graph
    rounded: Graph
    in_int8: Mapping[str, fx.Node]  # the layers of `rounded` by their names

    def moved_by_weights(self, node: fx.Node, x: Tensor, output: Tensor) -> Tensor:
        """By how much a layer's output moves where its weights are rounded."""
        other = self.in_int8[node.name]
        weight, bias = weight_of(self.rounded, other), self.rounded.constant(argument(other, 2))
        return _layer(node, x, rounded_to_nearest(weight), bias) - output

    def moved_by_input(self, node: fx.Node, x: Tensor, output: Tensor) -> Tensor:
        """By how much a layer's output moves where its input is rounded."""
        step = float(x.max().clamp_min(0) - x.min().clamp_max(0)) / 255 or 1.0
        return _layer(node, (x / step).round() * step - x, weight_of(self.exact, node), None)


def _layer(node: fx.Node, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    target: Any = node.target
    others = [argument(node, index) for index in range(3, len(target._schema.arguments))]
    result: Tensor = target(x, weight, bias, *others)
    return result


def _estimates(pair: _Pair, layers: Sequence[fx.Node], samples: Sequence[Inputs]) -> dict[fx.Node, float]:
    """Of each layer, the power of the output's error with only its weights rounded, as a share of the output's."""
    generator = torch.Generator().manual_seed(0)
    noise = dict.fromkeys(layers, 0.0)
    for sample in samples:
        run = _Run(pair.exact.module, layers)
        with torch.enable_grad():
            leaves = torch.utils._pytree.tree_leaves(run.run(*_copies(sample)))
        outputs = [y for y in leaves if isinstance(y, Tensor) and y.requires_grad]
        if not outputs:  # such as class labels
            return {}
        moved = {node: pair.moved_by_weights(node, x, output) for node, (x, output) in run.seen.items()}
        for _ in range(PASSES):
            for node, gradient in _gradients(run, outputs, generator).items():
                noise[node] += float((gradient * moved[node]).sum()) ** 2 / (PASSES * len(samples))
    return noise


def _outputs(graph: Graph, sample: Inputs, moved: Mapping[fx.Node, _Moved] | None = None) -> list[Tensor]:
    """The network's float outputs for one sample."""
    leaves = torch.utils._pytree.tree_leaves(_Run(graph.module, (), moved).run(*_copies(sample)))
    return [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point()]


def _share(exact: Sequence[Tensor], changed: Sequence[Tensor]) -> float:
    """The power of the outputs' error over that of each output."""
    return sum(float((a - b).norm() / a.norm().clamp_min(1e-30)) ** 2 for a, b in zip(exact, changed, strict=True))


def _gradients(run: _Run, outputs: Sequence[Tensor], generator: torch.Generator) -> dict[fx.Node, Tensor]:
    """At each layer's output, the gradient of the outputs' sum with random signs, each output of length 1."""
    signs = [torch.randint(0, 2, y.shape, generator=generator) * 2.0 - 1 for y in outputs]
    weighted = [v / y.detach().norm().clamp_min(1e-30) for v, y in zip(signs, outputs, strict=True)]
    at = [output for _, output in run.seen.values()]
    try:
        found = torch.autograd.grad(outputs, at, weighted, retain_graph=True, allow_unused=True)
    except RuntimeError as error:  # of an operator of the user's own: nothing is known then
        if "derivative" not in str(error):
            raise
        return {}
    return {node: gradient for node, gradient in zip(run.seen, found, strict=True) if gradient is not None}


class _Run(fx.Interpreter):
    """Runs a network.

    Args:
        layers: whose inputs and outputs are kept, so that gradients reach them.
        moved: of layers whose output is moved, by how much.
    """

    def __init__(
        self,
        module: fx.GraphModule,
        layers: Collection[fx.Node],
        moved: Mapping[fx.Node, _Moved] | None = None,
    ) -> None:
        super().__init__(module)
        self.seen: dict[fx.Node, tuple[Tensor, Tensor]] = {}
        self._layers, self._moved = frozenset(layers), moved or {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n in self._moved:
            result = result + self._moved[n](n, self.env[n.all_input_nodes[0]], result)
        if n in self._layers:
            result = result if result.requires_grad else result.detach().requires_grad_()
            self.seen[n] = (self.env[n.all_input_nodes[0]].detach(), result)
        return result

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """As the interpreter does, but an operator that writes into its argument gets a copy."""
        if writes_into_arguments(target):
            args = tuple(arg.clone() if isinstance(arg, Tensor) else arg for arg in args)
        return super().call_function(target, args, kwargs)


def _copies(sample: Inputs) -> Inputs:
    """A network may write into its inputs."""
    return tuple(x.clone() for x in sample)


def _giver(graph: Graph, node: fx.Node) -> fx.Node | None:
    """The layer whose output a layer reads, through activations and pads; None where others read it too."""
    given = node.all_input_nodes[0]
    while single_user(given) and _is_activation_or_pad(given) and len(given.all_input_nodes) == 1:
        given = given.all_input_nodes[0]
    return given if is_layer(graph, given) and single_user(given) else None


def _is_activation_or_pad(node: fx.Node) -> bool:
    return torch.Tag.pointwise in getattr(node.target, "tags", ()) or node.target in PADS


def _db(noise: float) -> float:
    return -10 * math.log10(noise)
