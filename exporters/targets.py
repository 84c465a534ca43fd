"""The table of targets: a backend, a recipe, the rewrites that help there, and the parity that is required."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgedeploy.core.backends import BACKENDS, Backend, load_object
from edgedeploy.core.parity import Threshold
from edgedeploy.core.recipe import QuantRecipe
from edgedeploy.core.recipes import DYNAMIC_INT8, FP32, STATIC_INT8, STATIC_UINT8_ACTIVATIONS, WEIGHT_ONLY_FP16
from edgedeploy.core.registry import Registry

from .job import Exporter


@dataclass(frozen=True)
class Target:
    """A backend and a recipe.

    Attributes:
        name: as typed.
        backend: the file format and the runtime that runs it.
        recipe: how numbers are stored and computed.
        rewrites: names, in no order; `rewrites.ALL` orders them.
        threshold: the parity that an export must reach.
        x86_recipe: the recipe with `tune_for="x86"`, where it is another one.
        only_for_arm: those of the rewrites that are left out with `tune_for="x86"`.
    """

    name: str
    backend: Backend
    recipe: QuantRecipe
    rewrites: tuple[str, ...]
    threshold: Threshold
    x86_recipe: QuantRecipe | None = None
    only_for_arm: tuple[str, ...] = ()

    def tuned_for(self, cpu: str) -> Target:
        """The target with the recipe and the rewrites for "arm" or "x86"."""
        if cpu != "x86":
            return self
        rewrites = tuple(name for name in self.rewrites if name not in self.only_for_arm)
        return replace(self, recipe=self.x86_recipe or self.recipe, rewrites=rewrites)

    @property
    def file(self) -> str:
        """Name of the artifact's file."""
        return self.backend.file

    @property
    def runtime(self) -> str:
        """Name of the runtime that runs the file."""
        return self.backend.runtime

    def exporter(self) -> Exporter:
        """The backend's exporter; its converter is imported when it is called."""
        exporter: Exporter = load_object(self.backend.exporter)
        return exporter

    def __str__(self) -> str:
        return self.name


# For every target. Which of them apply depends on the network.
COMMON = (
    "fold_constants",
    "drop_identity",
    "drop_expand",
    "window_shift_to_gather",
    "collapse_permute_dims",
    "decompose_sdpa",
    "mask_by_where",
    "split_qkv_projection",
    "split_to_slices",
    "patches_to_reshape",
    "unfold_to_slices",
    "fold_attention_scale",
    "l2_norm_to_rsqrt",
    "defer_l2_norm",
    "fold_batch_norm",
    "fold_layer_scale",
    "fold_layer_norm_affine",
    "cancel_permutes",
    "pool1x1_to_stride",
    "adaptive_pool_to_fixed",
    "resize_to_fixed_size",
    "fuse_hard_activations",
)
# Not for int8 ExecuTorch: TopFormer-tiny would take 141.5 M Arm instructions instead of 143.1, and 33.7 dB instead of 35.2.
CHANNEL_AFFINE = ("hoist_channel_affine",)
# Not for float ONNX Runtime: DenseNet-121 at 64x64 would take 114.2 M Arm instructions instead of 110.5; int8 takes 34.2
# instead of 40.6.
LONE_NORM = ("batch_norm_to_depthwise",)
LINEAR_TO_CONV = ("linear_to_conv",)
# ONNX Runtime's float convolution of a vector takes six times what its matrix product takes.
LINEAR_ON_MAPS_TO_CONV = ("linear_to_conv_on_maps",)
LABEL_SELECTION = ("argmax_over_candidates",)
# No CPU delegate has an int8 hard sigmoid; as a clip it is part of the convolution before it.
HARD_SIGMOID_AS_CLIP = ("fold_hard_sigmoid_gate",)
# ONNX Runtime's quantizer fails at these.
GROUPED_TRANSPOSED = ("grouped_transposed_conv_to_shuffle",)
# For the GELUs that onnx_passes/gelu_to_gate.py leaves in float; in float networks the difference would be the largest
# error.
FLOAT_GELU = ("gelu_to_tanh",)
# The mean over the channels that a norm reads takes up an int8 range, and the sum of what it gives is 0 in float only.
CENTRED_WEIGHTS = ("center_before_layer_norm", "center_behind_layer_norm")
# Channel-first runtimes. In int8 such a norm stays in float as a region.
CHANNELS_FIRST_NORM = ("channels_first_layer_norm",)
# After it where both are asked for: what is left
ROW_NORM = ("layer_norm_to_instance_norm",)
TFLITE_OPERATORS = (
    "center_before_variance",
    "depthwise_transposed_conv_to_shuffle",
    "transposed_conv_to_shuffle",
    "crop_transposed_conv",
    "nearest_to_gather",
    "join_broadcast_dims",
    "split_large_depthwise",
    "merge_patch_columns",
    "permute_before_view",
    "mean_of_channels_last_map",
)
# With the parts that share one pad, EdgeNeXt-XXS takes 1 % fewer instructions in int8, and Conv2Former-N 4 % more.
EXECUTORCH_OPERATORS = (
    "conv3d_to_conv2d",
    "transposed_conv_to_shuffle",
    "softmax_over_rows",
    "split_large_depthwise_cut_outputs",
    "matmul_to_bmm",
    "mean_to_keepdim",
)
# Sums of many terms round more in XNNPACK's linear layer than in native_layer_norm; in eight parts they do not. Beside int8
# the difference is nothing.
INT8_NORM = ("layer_norm_to_products",)
FLOAT_NORM = ("layer_norm_to_partial_sums",)

# ONNX Runtime's Arm kernels copy or compute single values there; on x86 it has a kernel for depthwise convolutions.
ONNX_FLOAT_DEPTHWISE = ("depthwise_by_columns",)
ONNX_FLOAT_RESIZE = ("resize_to_products",)
# XNNPACK's quantizer knows no SiLU, which would be float.
INT8_SILU = ("silu_to_gate",)
# XNNPACK's quantizer fails at these.
SHARED_PARAMETERS = ("own_parameters",)

EVERYWHERE = COMMON + LABEL_SELECTION
EXECUTORCH = EVERYWHERE + LONE_NORM + LINEAR_TO_CONV + EXECUTORCH_OPERATORS
# XNNPACK's int8 kernels have no narrow tiles.
FLOAT_XNNPACK = ("pad_output_channels",)
FLOAT_TFLITE = (*FLOAT_XNNPACK, "center_layer_before_variance")

# In float a step is one channel, and the zeros of the pairs cost more than the positions.
INT8_XNNPACK = ("merge_stem_columns", "join_depthwise_parts")

TFLITE = EVERYWHERE + LONE_NORM + CHANNEL_AFFINE + LINEAR_TO_CONV + HARD_SIGMOID_AS_CLIP + TFLITE_OPERATORS

FLOAT_PARITY = Threshold(relative_error=1e-4, label_agreement=0.99)
HALF_PARITY = Threshold(sqnr_db=50, label_agreement=0.98)  # 11 bits of mantissa in the weights
INT8_PARITY = Threshold(sqnr_db=20, label_agreement=0.9)  # noise a tenth of the signal's amplitude

_ONNX, _EXECUTORCH, _TFLITE = BACKENDS["onnx"], BACKENDS["executorch"], BACKENDS["tflite"]

TARGETS: Registry[Target] = Registry(
    "target",
    (
        Target(
            "onnx-fp32",
            _ONNX,
            FP32,
            EVERYWHERE
            + CHANNEL_AFFINE
            + LINEAR_ON_MAPS_TO_CONV
            + CHANNELS_FIRST_NORM
            + ROW_NORM
            + ONNX_FLOAT_DEPTHWISE
            + ONNX_FLOAT_RESIZE,
            FLOAT_PARITY,
            only_for_arm=ONNX_FLOAT_DEPTHWISE,
        ),
        Target(
            "onnx-int8",
            _ONNX,
            STATIC_INT8,
            EVERYWHERE
            + LONE_NORM
            + CHANNEL_AFFINE
            + LINEAR_TO_CONV
            + HARD_SIGMOID_AS_CLIP
            + FLOAT_GELU
            + CENTRED_WEIGHTS
            + ROW_NORM
            + GROUPED_TRANSPOSED,
            INT8_PARITY,
            x86_recipe=STATIC_UINT8_ACTIVATIONS,
        ),
        Target(
            "executorch-fp32",
            _EXECUTORCH,
            FP32,
            EXECUTORCH + CHANNEL_AFFINE + CHANNELS_FIRST_NORM + FLOAT_XNNPACK + FLOAT_NORM,
            FLOAT_PARITY,
        ),
        Target(
            "executorch-int8",
            _EXECUTORCH,
            STATIC_INT8,
            EXECUTORCH
            + HARD_SIGMOID_AS_CLIP
            + CENTRED_WEIGHTS
            + CHANNELS_FIRST_NORM
            + INT8_NORM
            + INT8_SILU
            + SHARED_PARAMETERS,
            INT8_PARITY,
        ),
        Target("tflite-fp32", _TFLITE, FP32, TFLITE + FLOAT_TFLITE, FLOAT_PARITY),
        Target("tflite-fp16", _TFLITE, WEIGHT_ONLY_FP16, TFLITE + FLOAT_TFLITE, HALF_PARITY),
        Target("tflite-dynamic", _TFLITE, DYNAMIC_INT8, TFLITE + CENTRED_WEIGHTS, INT8_PARITY),
        Target("tflite-int8", _TFLITE, STATIC_INT8, TFLITE + CENTRED_WEIGHTS + INT8_XNNPACK, INT8_PARITY),
    ),
    name_of=str,
    hint="`edgedeploy targets` lists them",
)
