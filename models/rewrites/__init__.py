"""Rewrites: changes to a captured network that keep what it computes, one a file, applied in the order of this list.

The order matters in places, and each place says why:

- `fold_constants` first: what is left is what depends on the input;
- `window_shift_to_gather` and `split_qkv_projection` before `collapse_permute_dims`: they take permutes along or away;
- `split_qkv_projection` before `split_to_slices`, which takes what is left, and before `fold_attention_scale`, which needs
  a layer for q;
- `decompose_sdpa` before `fold_attention_scale`: it leaves a scale to fold;
- `l2_norm_to_rsqrt` before `defer_l2_norm`: the second knows one spelling;
- `channels_first_layer_norm` before `linear_to_conv`: behind it the layers find the permute that they need;
- `cancel_permutes` after both, which leave permutes behind;
- `center_before_variance` after `channels_first_layer_norm`, which reads whole norms;
- `pool1x1_to_stride` after `linear_to_conv`: the stride goes into a convolution;
- `fold_batch_norm` before `linear_to_conv`: a norm beside a linear layer folds into it before the layer changes;
- `fuse_hard_activations` before `fold_hard_sigmoid_gate`: the second knows one spelling.
"""

from __future__ import annotations

from edgedeploy.core.registry import Registry

from . import (
    adaptive_pool_to_fixed,
    argmax_over_candidates,
    cancel_permutes,
    center_before_variance,
    channels_first_layer_norm,
    collapse_permute_dims,
    decompose_sdpa,
    fold_attention_scale,
    fold_batch_norm,
    fold_constants,
    hard_activations,
    l2_norm,
    linear_to_conv,
    pool1x1_to_stride,
    resize_to_fixed_size,
    split_qkv_projection,
    transposed_conv_to_shuffle,
    window_shift_to_gather,
)
from .graph import capture, seeded_inputs
from .rewrite import Declined, Rewrite, RewriteOutcome, RewrittenModule, apply

ALL: Registry[Rewrite] = Registry(
    "rewrite",
    (
        fold_constants.REWRITE,
        window_shift_to_gather.REWRITE,
        decompose_sdpa.REWRITE,
        split_qkv_projection.PROJECTIONS,
        split_qkv_projection.SLICES,
        collapse_permute_dims.REWRITE,
        fold_attention_scale.REWRITE,
        l2_norm.RECIPROCAL,
        l2_norm.LATE,
        fold_batch_norm.REWRITE,
        channels_first_layer_norm.REWRITE,
        linear_to_conv.REWRITE,
        cancel_permutes.REWRITE,
        pool1x1_to_stride.REWRITE,
        transposed_conv_to_shuffle.REWRITE,
        center_before_variance.REWRITE,
        adaptive_pool_to_fixed.REWRITE,
        resize_to_fixed_size.REWRITE,
        hard_activations.WHOLE,
        hard_activations.CLIPPED,
        argmax_over_candidates.REWRITE,
    ),
    name_of=str,
    hint="`edgedeploy targets --json` lists each target's rewrites",
)

__all__ = ["ALL", "RewriteOutcome", "Declined", "Rewrite", "RewrittenModule", "apply", "capture", "seeded_inputs"]
