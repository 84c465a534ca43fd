"""Changes to a rewritten network, from calibration samples, that help int8 and cost nothing at run time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import fx

from edgedeploy.core.errors import RewriteMismatch
from edgedeploy.core.recipe import Preparation, QuantRecipe, Region
from edgedeploy.models.rewrites.graph import Graph, Inputs
from edgedeploy.models.rewrites.rewrite import EXACT, Rewriter

from .equalize_channels import equalize_channels
from .layers import int8_layers
from .round_weights import round_weights

MAX_SAMPLES = 8


def prepared_for(
    recipe: QuantRecipe, module: fx.GraphModule, samples: Sequence[Inputs], regions: Mapping[str, Region] | None = None
) -> fx.GraphModule:
    """The network with what `recipe.prepare` asks for.

    Args:
        samples: of the calibration.
        regions: the region of each node of the graph that is in one.

    Raises RewriteMismatch where the equalized network computes something else: a bug.
    """
    used = list(samples[:MAX_SAMPLES])
    with torch.no_grad():
        if Preparation.EQUALIZE_CHANNELS in recipe.prepare and used:
            verifier = Rewriter(module, used[:1])
            module = equalize_channels(module, used)
            if not verifier.difference(module).within(EXACT, verifier.rounding_error):
                raise RewriteMismatch("equalize_channels changed what the network computes", hint="leave it out")
        if used:
            module = round_weights(module, used, int8_layers(Graph(module), recipe, regions or {}), recipe.prepare)
    return module
