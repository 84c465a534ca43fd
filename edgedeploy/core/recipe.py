"""QuantRecipe: how numbers are stored and computed, as plain data with a name that can be decoded.

A name is `<when>_w<weights>_a<activations>`; `fp32` alone means that nothing is quantized.

    fp32                        all in float32
    weight_only_wfp16_afp32     weights stored in half precision, all computed in float32: half the size, same speed
    dynamic_wi8_afp32           int8 weights, activations quantized on the fly by each operator: no calibration,
                                a quarter of the size; often slower than static on a phone
    static_wi8_ai8              int8 weights (one scale per output channel) and int8 activations with ranges fixed by
                                calibration: smallest and fastest, the one that can lose accuracy

The names follow ai-edge-quantizer, so that they mean the same in an issue of either project.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class QuantRecipe:
    """How numbers are stored and computed.

    Attributes:
        name: see the module's docstring.
        weights: numpy's dtype name of stored weights.
        activations: dtype of activations between operators.
        needs_calibration: ranges of activations are fixed beforehand.
    """

    name: str
    weights: str
    activations: str
    needs_calibration: bool = False

    def __str__(self) -> str:
        return self.name


FP32 = QuantRecipe("fp32", "float32", "float32")
WEIGHT_ONLY_FP16 = QuantRecipe("weight_only_wfp16_afp32", "float16", "float32")
DYNAMIC_INT8 = QuantRecipe("dynamic_wi8_afp32", "int8", "float32")
STATIC_INT8 = QuantRecipe("static_wi8_ai8", "int8", "int8", needs_calibration=True)
