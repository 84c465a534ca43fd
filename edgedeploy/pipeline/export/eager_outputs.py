"""What the eager network returns: for the inputs that parity is measured on, and for calibration samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgedeploy.core.artifact import Golden
from edgedeploy.core.errors import ModelInvalid
from edgedeploy.core.parity import Array
from edgedeploy.data.photographs import HELD_OUT_SEED, calibration_from_photographs
from edgedeploy.pipeline.verification import check_reference, check_repeated

if TYPE_CHECKING:
    import torch

    from edgedeploy.models.loading import Network

# Held-out samples that parity is measured on; the first is stored beside the artifact. The error of int8 logits differs
# from image to image: over 4 images one runtime's SQNR can be several dB off what it is over many. Maps have thousands of
# values an image, so that fewer images are enough, and 16 of them would fill the memory.
MIN_VERIFICATION_SAMPLES = 4
MAX_VERIFICATION_SAMPLES = 16
MAX_VERIFICATION_VALUES = 4_000_000  # output values of all samples, above the least number


def held_out_golden(network: Network, head: str) -> Golden:
    """The inputs that parity is measured on, and what the eager network returns for them with its head.

    Raises ModelInvalid where nothing could be compared with the outputs, or where they change from run to run.
    """
    samples = drawn_samples(network, MAX_VERIFICATION_SAMPLES, crop_seed=HELD_OUT_SEED, number_seed=0)
    first = golden_of(network, head, samples[:1])
    num_values = sum(output.size for output in first.outputs[0])
    count = min(max(MAX_VERIFICATION_VALUES // max(num_values, 1), MIN_VERIFICATION_SAMPLES), MAX_VERIFICATION_SAMPLES)
    golden = golden_of(network, head, samples[:count])
    check_repeated(network.name, golden.outputs[0], first.outputs[0])
    return golden


def drawn_samples(network: Network, count: int, *, crop_seed: int, number_seed: int) -> list[list[Array]]:
    """Seeded inputs: crops of photographs for a network with image inputs, random numbers for others."""
    size = network.image_size
    if size is not None:
        return [[crop] for crop in calibration_from_photographs(size, network.preprocessing, count, crop_seed)]
    rng = np.random.default_rng(number_seed)
    return [network.draw(rng) for _ in range(count)]


def golden_of(network: Network, head: str, samples: list[list[Array]]) -> Golden:
    """Inputs, and what the eager network returns for them with its head."""
    import torch

    leaves = _tensors_of(network, head, samples)
    for index, tensor in enumerate(leaves[0]):
        if tensor.dtype == torch.bfloat16:
            raise ModelInvalid(
                f"output {index} of {network.name} is bfloat16, which no runtime returns",
                hint="return float32: add .float(), or take the network out of torch.autocast",
            )
    golden = Golden(samples, [[tensor.numpy() for tensor in sample] for sample in leaves])
    check_reference(network.name, golden)
    return golden


def outputs_of(network: Network, head: str, samples: Sequence[Sequence[Array]]) -> list[tuple[Array, ...]]:
    """What the eager network returns for each sample with its head, whatever the values are."""
    return [tuple(tensor.numpy() for tensor in tensors) for tensors in _tensors_of(network, head, samples)]


def _tensors_of(network: Network, head: str, samples: Sequence[Sequence[Array]]) -> list[list[torch.Tensor]]:
    """For each sample, the tensors that the eager network returns with its head."""
    import torch

    from edgedeploy.models.adapters.heads import with_head

    # a network with the features head is its own reference: with_features took its classifier off
    reference = network.module if head == "features" else with_head(network.module, head)
    with network.running(), torch.no_grad():
        outputs = [reference(*(torch.tensor(array) for array in sample)) for sample in samples]
    return [torch.utils._pytree.tree_leaves(output) for output in outputs]
