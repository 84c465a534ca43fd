"""Rewrites: changes to a captured network that keep what it computes, one a file, applied in the order of this list.

The order matters in places, and each place says why:

- `fold_constants` first: what is left is what depends on the input;
- `window_gather` and `split_projections` before `low_rank_permutes`: they take permutes along or away;
- `split_projections` before `splits_as_slices`, which takes what is left, and before `query_scale`: q then has a layer;
- `plain_attention` before `query_scale`: it leaves a scale to fold;
- `reciprocal_norm` before `late_norm`: the second knows one spelling;
- `channel_first_norm` before `linear_to_conv`: behind it the layers find the permute that they need;
- `cancel_permutes` after both, which leave permutes behind;
- `centred_norm` after `channel_first_norm`, which reads whole norms;
- `strided_pick` after `linear_to_conv`: the stride goes into a convolution;
- `fold_batch_norm` before `linear_to_conv`: a norm beside a linear layer folds into it before the layer changes;
- `whole_hard_activations` before `clipped_hard_sigmoid`: the second knows one spelling.
"""

from __future__ import annotations

from edgedeploy.core.registry import Registry

from . import (
    cancel_permutes,
    centred_norm,
    channel_first_norm,
    cheap_labels,
    fixed_pool,
    fixed_resize,
    fold_batch_norm,
    fold_constants,
    hard_activations,
    l2_norm,
    linear_to_conv,
    low_rank_permutes,
    plain_attention,
    query_scale,
    split_projections,
    spread_by_shuffle,
    strided_pick,
    window_gather,
)
from .graph import capture, seeded_inputs
from .rewrite import Applied, Declined, Rewrite, RewrittenModule, apply

ALL: Registry[Rewrite] = Registry(
    "rewrite",
    (
        fold_constants.REWRITE,
        window_gather.REWRITE,
        plain_attention.REWRITE,
        split_projections.PROJECTIONS,
        split_projections.SLICES,
        low_rank_permutes.REWRITE,
        query_scale.REWRITE,
        l2_norm.RECIPROCAL,
        l2_norm.LATE,
        fold_batch_norm.REWRITE,
        channel_first_norm.REWRITE,
        linear_to_conv.REWRITE,
        cancel_permutes.REWRITE,
        strided_pick.REWRITE,
        spread_by_shuffle.REWRITE,
        centred_norm.REWRITE,
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
