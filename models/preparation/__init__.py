"""What calibration samples tell before a network is lowered to int8: changes to it that cost nothing at run time, and the
layers that stay in float."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import fx

from edgedeploy.core.errors import RewriteMismatch
from edgedeploy.core.recipe import Preparation, QuantRecipe, Region
from edgedeploy.models.rewrites.graph import Graph, Inputs
from edgedeploy.models.rewrites.rewrite import EXACT, Rewriter

from .equalize_channels import equalize_channels
from .layers import int8_layers, with_exact_layers
from .round_weights import round_weights
from .sensitive_layers import SensitiveLayer, sensitive_layers

MIN_SAMPLES, MAX_SAMPLES = 8, 32
MAX_VALUES = MAX_SAMPLES * 3 * 256 * 256  # of all samples together: several feature maps of each are held at a time


@dataclass(frozen=True)
class Prepared:
    """A network as a recipe prepares it.

    Attributes:
        recipe: the one that was asked for, and a rule for each layer that stays in float.
        in_float: these layers, by the recipe's `min_layer_sqnr_db`.
    """

    module: fx.GraphModule
    recipe: QuantRecipe
    in_float: tuple[SensitiveLayer, ...] = ()


def prepared_for(
    recipe: QuantRecipe, module: fx.GraphModule, samples: Sequence[Inputs], regions: Mapping[str, Region] | None = None
) -> Prepared:
    """The network with what `recipe.prepare` asks for, and the recipe without the layers that int8 cannot hold.

    Args:
        samples: of the calibration.
        regions: the region of each node of the graph that is in one.

    Raises RewriteMismatch where the equalized network computes something else: a bug.
    """
    if not samples:
        return Prepared(module, recipe)
    used = _some(samples)
    with torch.no_grad():
        if Preparation.EQUALIZE_CHANNELS in recipe.prepare:
            module = _equalized(module, used)
        in_int8 = int8_layers(Graph(module), recipe, regions or {})
        rounded = round_weights(module, used, in_int8, recipe.prepare)
        if recipe.min_layer_sqnr_db is None or not in_int8:
            return Prepared(rounded, recipe)
        in_float = sensitive_layers(module, rounded, used, in_int8, recipe.min_layer_sqnr_db)
        if in_float:
            recipe = recipe.excluding(*(layer.module for layer in in_float))
            rounded = with_exact_layers(module, rounded, in_int8 - int8_layers(Graph(module), recipe, regions or {}))
    return Prepared(rounded, recipe, in_float)


def _some(samples: Sequence[Inputs]) -> list[Inputs]:
    """The first samples, as many as memory allows."""
    values = sum(x.numel() for x in samples[0])
    return list(samples[: min(MAX_SAMPLES, max(MIN_SAMPLES, MAX_VALUES // max(values, 1)))])


def _equalized(module: fx.GraphModule, samples: Sequence[Inputs]) -> fx.GraphModule:
    verifier = Rewriter(module, samples[:1])
    equalized = equalize_channels(module, samples)
    if not verifier.difference(equalized).within(EXACT, verifier.rounding_error):
        raise RewriteMismatch("equalize_channels changed what the network computes", hint="leave it out")
    return equalized
