"""Changes to a rewritten network, from calibration samples, that help int8 and cost nothing at run time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import fx

from edgedeploy.core.errors import RewriteMismatch
from edgedeploy.core.recipe import Preparation, QuantRecipe
from edgedeploy.models.rewrites.graph import Inputs
from edgedeploy.models.rewrites.rewrite import EXACT, Rewriter

from .correct_bias import correct_bias
from .equalize_channels import equalize_channels

MAX_SAMPLES = 8


def prepared_for(recipe: QuantRecipe, module: fx.GraphModule, samples: Sequence[Inputs]) -> fx.GraphModule:
    """The network with what `recipe.prepare` asks for; `samples` are of the calibration.

    Raises RewriteMismatch where the equalized network computes something else: a bug.
    """
    used = list(samples[:MAX_SAMPLES])
    with torch.no_grad():
        if Preparation.EQUALIZE_CHANNELS in recipe.prepare and used:
            verifier = Rewriter(module, used[:1])
            module = equalize_channels(module, used)
            if not verifier.difference(module).within(EXACT, verifier.rounding_error):
                raise RewriteMismatch("equalize_channels changed what the network computes", hint="leave it out")
        if Preparation.CORRECT_BIAS in recipe.prepare and used:
            module = correct_bias(module, used, recipe)
    return module
