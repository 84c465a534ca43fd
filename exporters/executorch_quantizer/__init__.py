"""XNNPACK's quantizer for ExecuTorch, with what its delegate can do beyond the quantizer's own rules."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from .annotations import keep_in_float
from .clamps import clamps_as_relu
from .concatenations import release_concatenations
from .outputs import annotate_float_outputs
from .pads import annotate_pads
from .scale_limits import SMALLEST_SCALE
from .tables import annotate_tables


def quantizer(*, float_outputs: bool = False) -> Any:
    """XNNPACK's quantizer, one scale per output channel of a layer.

    Clamps behind layers are ReLUs to it (clamps.py), and it knows more operators (pads.py, tables.py).

    Args:
        float_outputs: see QuantRecipe (outputs.py).
    """
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e import MinMaxObserver, PerChannelMinMaxObserver

    class Quantizer(XNNPACKQuantizer):
        # Without those of quantization-aware training: a BatchNorm behind a convolution. It is folded here, so they match
        # nothing, and each export traced twelve examples of them.
        SUPPORTED_PATTERNS: ClassVar = [
            pattern for pattern in XNNPACKQuantizer.SUPPORTED_PATTERNS if not pattern.is_qat
        ]

        def annotate(self, model: Any) -> Any:
            keep_in_float(model.graph, self)
            with clamps_as_relu(model.graph):
                model = super().annotate(model)
            annotate_pads(model, self)
            annotate_tables(model, self)
            release_concatenations(model.graph)
            if float_outputs:
                annotate_float_outputs(model, get_symmetric_quantization_config(is_per_channel=True, is_dynamic=True))
            return model

    config = get_symmetric_quantization_config(is_per_channel=True)
    activation = MinMaxObserver.with_args(eps=SMALLEST_SCALE)
    observers = {
        "input_activation": activation,
        "output_activation": activation,
        "weight": PerChannelMinMaxObserver.with_args(eps=SMALLEST_SCALE),
    }
    specs = {
        side: dataclasses.replace(getattr(config, side), observer_or_fake_quant_ctr=observer)
        for side, observer in observers.items()
    }
    return Quantizer().set_global(dataclasses.replace(config, **specs))
