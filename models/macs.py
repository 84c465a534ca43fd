"""Multiply-accumulates of a network, counted by running it once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count


def _sdpa_cpu(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    # The counter hands shapes over. Its own table lacks this kernel, to which CPU attention goes.
    return int(sdpa_flop_count(query, key, value))


@torch.no_grad()
def count_macs(module: nn.Module, example_inputs: Sequence[Tensor]) -> int:
    """Multiply-accumulates of convolutions, linear layers and matrix products (attention's too) for these inputs.

    Biases, norms, activations, softmax, pooling and resizing are not counted. The count is exact and does not depend on
    values, so a module and inputs on the `meta` device will do. torch counts a multiply-accumulate as two operations.
    """
    attention = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _sdpa_cpu}
    # the counter looks for the gradient of what a module reads, and a view of a parameter has none here
    learned = [parameter for parameter in module.parameters() if parameter.requires_grad]
    try:
        for parameter in learned:
            parameter.requires_grad_(False)
        with FlopCounterMode(display=False, custom_mapping=attention) as counter:
            module(*example_inputs)
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)
    return int(counter.get_total_flops()) // 2
