"""Rewrites: changes to a captured network that keep what it computes, one a file, applied in the order of this list.

The order matters in places, and each place says why:

- `fold_constants` first: what is left is what depends on the input;
- `fold_batch_norm` before `linear_to_conv`: a norm beside a linear layer folds into it before the layer changes;
- `whole_hard_activations` before `clipped_hard_sigmoid`: the second knows one spelling.
"""

from __future__ import annotations

from edgedeploy.core.registry import Registry

from . import (
    cheap_labels,
    fixed_pool,
    fixed_resize,
    fold_batch_norm,
    fold_constants,
    hard_activations,
    linear_to_conv,
)
from .graph import capture, seeded_inputs
from .rewrite import Applied, Declined, Rewrite, RewrittenModule, apply

ALL: Registry[Rewrite] = Registry(
    "rewrite",
    (
        fold_constants.REWRITE,
        fold_batch_norm.REWRITE,
        linear_to_conv.REWRITE,
        fixed_pool.REWRITE,
        fixed_resize.REWRITE,
        hard_activations.WHOLE,
        hard_activations.CLIPPED,
        cheap_labels.REWRITE,
    ),
    name_of=str,
    hint="`edgedeploy targets --json` lists each target's rewrites",
)

__all__ = ["ALL", "Applied", "Declined", "Rewrite", "RewrittenModule", "apply", "capture", "seeded_inputs"]
