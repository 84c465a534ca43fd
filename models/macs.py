"""Multiply-accumulates of a network, counted by running it once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


@torch.no_grad()
def count_macs(module: nn.Module, example_inputs: Sequence[Tensor]) -> int:
    """Multiply-accumulates of convolutions, linear layers and matrix products (attention's too) for these inputs.

    Biases, norms, activations, softmax, pooling and resizing are not counted. The count is exact and does not depend on
    values, so a module and inputs on the `meta` device will do. torch counts a multiply-accumulate as two operations.
    """
    with FlopCounterMode(display=False) as counter:
        module(*example_inputs)
    return counter.get_total_flops() // 2
