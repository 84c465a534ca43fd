"""The table of targets: where a network shall run, and what that takes."""

from __future__ import annotations

from dataclasses import dataclass

from edgedeploy.core.recipe import DYNAMIC_INT8, FP32, STATIC_INT8, WEIGHT_ONLY_FP16, QuantRecipe
from edgedeploy.core.registry import Registry

from .job import Exporter

# What every target wants. Which of them fire is the network's matter.
COMMON = (
    "fold_constants",
    "window_shift_to_gather",
    "collapse_permute_dims",
    "decompose_sdpa",
    "split_qkv_projection",
    "split_to_slices",
    "fold_attention_scale",
    "l2_norm_to_rsqrt",
    "defer_l2_norm",
    "fold_batch_norm",
    "linear_to_conv",
    "cancel_permutes",
    "pool1x1_to_stride",
    "adaptive_pool_to_fixed",
    "resize_to_fixed_size",
    "fuse_hard_activations",
)


@dataclass(frozen=True)
class Threshold:
    """The parity below which an export fails.

    Attributes:
        relative_error: largest error over the reference's standard deviation.
        sqnr_db: signal to quantization noise.
        label_agreement: share of equal labels, where the artifact gives labels.
    """

    relative_error: float | None = None
    sqnr_db: float | None = None
    label_agreement: float | None = None

    def __str__(self) -> str:
        parts = []
        if self.relative_error is not None:
            parts.append(f"largest error < {self.relative_error:g} σ")
        if self.sqnr_db is not None:
            parts.append(f"SQNR ≥ {self.sqnr_db:g} dB")
        return ", ".join(parts)


@dataclass(frozen=True)
class Target:
    """Where a network shall run.

    Attributes:
        name: as typed.
        exporter: "onnx", "executorch" or "tflite": the file to_<exporter>.py.
        runner: the runtime that runs the file.
        file: name of the artifact's file.
        recipe: how numbers are stored and computed.
        rewrites: names, in no order; the rewrites' own list orders them.
        floor: the parity that an export must reach.
    """

    name: str
    exporter: str
    runner: str
    file: str
    recipe: QuantRecipe
    rewrites: tuple[str, ...]
    floor: Threshold

    def __str__(self) -> str:
        return self.name

    def export(self) -> Exporter:
        """The exporter's function; its converter is imported when it is called."""
        if self.exporter == "onnx":
            from .to_onnx import to_onnx

            return to_onnx
        if self.exporter == "executorch":
            from .to_executorch import to_executorch

            return to_executorch
        from .to_tflite import to_tflite

        return to_tflite


FLOAT = Threshold(relative_error=1e-4, label_agreement=0.99)
HALF = Threshold(sqnr_db=50, label_agreement=0.98)  # 11 bits of mantissa in the weights
INT8 = Threshold(sqnr_db=20, label_agreement=0.9)  # noise a tenth of the signal's amplitude
LABELS = ("argmax_over_candidates",)
CLIPPED = ("fold_hard_sigmoid_gate",)
# In float, on runtimes that are channel-first: in int8 a norm spelled out would be rounded at every step.
CHANNEL_FIRST = ("channels_first_layer_norm",)
ONLY_TFLITE = ("center_before_variance", "transposed_conv_to_shuffle")


def _onnx(name: str, recipe: QuantRecipe, floor: Threshold, *more: str) -> Target:
    return Target(name, "onnx", "onnxruntime", "model.onnx", recipe, COMMON + LABELS + more, floor)


def _executorch(name: str, recipe: QuantRecipe, floor: Threshold, *more: str) -> Target:
    return Target(name, "executorch", "executorch", "model.pte", recipe, COMMON + LABELS + more, floor)


def _tflite(name: str, recipe: QuantRecipe, floor: Threshold, *more: str) -> Target:
    return Target(
        name, "tflite", "litert", "model.tflite", recipe, COMMON + LABELS + CLIPPED + ONLY_TFLITE + more, floor
    )


TARGETS: Registry[Target] = Registry(
    "target",
    (
        _onnx("onnx-fp32", FP32, FLOAT, *CHANNEL_FIRST),
        _onnx("onnx-int8", STATIC_INT8, INT8, *CLIPPED),
        _executorch("executorch-fp32", FP32, FLOAT, *CHANNEL_FIRST),
        _executorch("executorch-int8", STATIC_INT8, INT8, *CLIPPED),
        _tflite("tflite-fp32", FP32, FLOAT),
        _tflite("tflite-fp16", WEIGHT_ONLY_FP16, HALF),
        _tflite("tflite-dynamic", DYNAMIC_INT8, INT8),
        _tflite("tflite-int8", STATIC_INT8, INT8),
    ),
    name_of=str,
    hint="`edgedeploy targets` lists them",
)
