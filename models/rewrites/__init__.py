"""Rewrites: changes to a captured network that keep what it computes, one a file, applied in the order of this list.

The order matters for these:

- `fold_constants` first: what remains depends on the input;
- `drop_identity` before all that look at neighbours;
- `window_shift_to_gather` and `split_qkv_projection` before `collapse_permute_dims`: they absorb permutes;
- `patches_to_reshape` and `unfold_to_slices` before `collapse_permute_dims`: they leave permutes in six dimensions;
- `conv3d_to_conv2d` before `collapse_permute_dims`, and before all that read convolutions;
- `split_qkv_projection` before `split_to_slices`, which takes what is left, and before `fold_attention_scale`, which needs
  a layer for q;
- `decompose_sdpa` before `fold_attention_scale`: it leaves a scale to fold;
- `decompose_sdpa` before `mask_by_where`: it leaves masks;
- `l2_norm_to_rsqrt` before `defer_l2_norm`: the second knows one spelling;
- `channels_first_layer_norm` before `linear_to_conv`: it leaves the permute that the layers need;
- `cancel_permutes` after both, which leave permutes behind;
- `center_layer_before_variance` before `center_before_variance`, which takes what is left; both after
  `channels_first_layer_norm`, which reads whole norms;
- `permute_before_view` after `linear_to_conv`, which reads the other form;
- `merge_patch_columns`, `merge_stem_columns` and `pad_output_channels` after `linear_to_conv`: they look at the layers that
  are left;
- `layer_norm_to_products` and `layer_norm_to_partial_sums` after `channels_first_layer_norm` and `linear_to_conv`, and
  after `pad_output_channels`, which would pad their means;
- `layer_norm_to_instance_norm` after `channels_first_layer_norm`, `linear_to_conv` and `cancel_permutes`: it looks at the
  layers that are left;
- `pool1x1_to_stride` after `linear_to_conv`: the stride goes into a convolution;
- `depthwise_transposed_conv_to_shuffle`, `transposed_conv_to_shuffle`, `crop_transposed_conv`: each takes what is left;
- `mean_of_channels_last_map` after `adaptive_pool_to_fixed`, which leaves means;
- `resize_to_fixed_size` before `nearest_to_gather` and `resize_to_products`: it drops resizes that change nothing;
- `fold_hard_sigmoid_gate` and `argmax_over_candidates` before `resize_to_products`: they look for resizes;
- `drop_expand` before `join_broadcast_dims`: it leaves operators that broadcast;
- `split_to_slices` before `join_depthwise_parts`, which reads slices;
- `fold_batch_norm` before `join_depthwise_parts` and `split_large_depthwise`: a norm folds into one convolution;
- `fold_batch_norm` before `linear_to_conv`: a norm beside a linear layer folds into it before the layer changes;
- `fold_batch_norm`, `batch_norm_to_depthwise`, `hoist_channel_affine`: what is beside a layer folds into it, what is not
  may still be hoisted;
- `split_qkv_projection` before `fold_layer_norm_affine`, and that before all that replace a layer norm;
- `fuse_hard_activations` before `fold_hard_sigmoid_gate`: the second knows one spelling;
- `own_parameters` last: the others make layers of layers.
"""

from __future__ import annotations

from edgedeploy.core.registry import Registry

from . import (
    adaptive_pool_to_fixed,
    argmax_over_candidates,
    batch_norm_to_depthwise,
    cancel_permutes,
    center_before_layer_norm,
    center_before_variance,
    center_behind_layer_norm,
    channels_first_layer_norm,
    collapse_permute_dims,
    conv3d_to_conv2d,
    crop_transposed_conv,
    decompose_sdpa,
    defer_l2_norm,
    depthwise_by_columns,
    depthwise_transposed_conv_to_shuffle,
    drop_expand,
    drop_identity,
    fold_attention_scale,
    fold_batch_norm,
    fold_constants,
    fold_hard_sigmoid_gate,
    fold_layer_norm_affine,
    fold_layer_scale,
    fuse_hard_activations,
    gelu_to_tanh,
    hoist_channel_affine,
    join_broadcast_dims,
    join_depthwise_parts,
    l2_norm_to_rsqrt,
    layer_norm_to_instance_norm,
    layer_norm_to_products,
    linear_to_conv,
    mask_by_where,
    matmul_to_bmm,
    mean_of_channels_last_map,
    mean_to_keepdim,
    merge_patch_columns,
    merge_stem_columns,
    nearest_to_gather,
    own_parameters,
    pad_output_channels,
    patches_to_reshape,
    permute_before_view,
    pool1x1_to_stride,
    resize_to_fixed_size,
    resize_to_products,
    silu_to_gate,
    softmax_over_rows,
    split_large_depthwise,
    split_qkv_projection,
    split_to_slices,
    transposed_conv_to_shuffle,
    unfold_to_slices,
    window_shift_to_gather,
)
from .graph import capture, seeded_inputs
from .rewrite import Rewrite, Rewriter, RewrittenModule, apply

ALL: Registry[Rewrite] = Registry(
    "rewrite",
    (
        fold_constants.REWRITE,
        drop_identity.REWRITE,
        drop_expand.REWRITE,
        window_shift_to_gather.REWRITE,
        decompose_sdpa.REWRITE,
        mask_by_where.REWRITE,
        split_qkv_projection.REWRITE,
        split_to_slices.REWRITE,
        patches_to_reshape.REWRITE,
        unfold_to_slices.REWRITE,
        conv3d_to_conv2d.REWRITE,
        collapse_permute_dims.REWRITE,
        fold_attention_scale.REWRITE,
        l2_norm_to_rsqrt.REWRITE,
        defer_l2_norm.REWRITE,
        fold_batch_norm.REWRITE,
        batch_norm_to_depthwise.REWRITE,
        fold_layer_scale.REWRITE,
        hoist_channel_affine.REWRITE,
        fold_layer_norm_affine.REWRITE,
        center_before_layer_norm.REWRITE,
        center_behind_layer_norm.REWRITE,
        channels_first_layer_norm.REWRITE,
        linear_to_conv.EVERYWHERE,
        linear_to_conv.ON_MAPS,
        cancel_permutes.REWRITE,
        pool1x1_to_stride.REWRITE,
        depthwise_transposed_conv_to_shuffle.REWRITE,
        transposed_conv_to_shuffle.REWRITE,
        transposed_conv_to_shuffle.GROUPED,
        crop_transposed_conv.REWRITE,
        join_broadcast_dims.REWRITE,
        join_depthwise_parts.REWRITE,
        split_large_depthwise.CUT_INPUTS,
        split_large_depthwise.CUT_OUTPUTS,
        merge_patch_columns.REWRITE,
        merge_stem_columns.REWRITE,
        pad_output_channels.REWRITE,
        layer_norm_to_products.REWRITE,
        layer_norm_to_products.PARTIAL_SUMS,
        layer_norm_to_instance_norm.REWRITE,
        center_before_variance.OF_LAYER,
        center_before_variance.REWRITE,
        adaptive_pool_to_fixed.REWRITE,
        resize_to_fixed_size.REWRITE,
        nearest_to_gather.REWRITE,
        softmax_over_rows.REWRITE,
        fuse_hard_activations.REWRITE,
        fold_hard_sigmoid_gate.REWRITE,
        gelu_to_tanh.REWRITE,
        permute_before_view.REWRITE,
        mean_of_channels_last_map.REWRITE,
        mean_to_keepdim.REWRITE,
        matmul_to_bmm.REWRITE,
        argmax_over_candidates.REWRITE,
        resize_to_products.REWRITE,
        depthwise_by_columns.REWRITE,
        silu_to_gate.REWRITE,
        own_parameters.REWRITE,
    ),
    name_of=str,
    hint="`edgedeploy targets --json` lists each target's rewrites",
)

__all__ = ["ALL", "Rewrite", "Rewriter", "RewrittenModule", "apply", "capture", "seeded_inputs"]
