from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from edgedeploy.models.adapters.channels_last import channels_last_sample, with_channels_last_images
from edgedeploy.models.rewrites import capture, seeded_inputs


class TwoInputs(nn.Module):
    """An image and a vector in, a map and a vector out; the image is read twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, image: Tensor, gain: Tensor) -> tuple[Tensor, Tensor]:
        return self.conv(image) * gain[:, :, None, None], image.mean((2, 3))


def test_images_are_nhwc_at_both_ends_and_the_values_stay() -> None:
    torch.manual_seed(0)
    inputs = seeded_inputs([(2, 3, 8, 9), (2, 4)], seed=1)
    network = capture(TwoInputs().eval(), inputs)
    adapted = with_channels_last_images(network)
    sample = channels_last_sample([value.numpy() for value in inputs])
    with torch.no_grad():
        image_map, vector = network(*inputs)
        adapted_map, adapted_vector = adapted(*(torch.from_numpy(array) for array in sample))
    torch.testing.assert_close(adapted_map.permute(0, 3, 1, 2), image_map)
    torch.testing.assert_close(adapted_vector, vector)


def test_a_sample_is_contiguous_and_other_ranks_are_left_alone() -> None:
    image, vector = channels_last_sample([np.zeros((1, 3, 4, 5)), np.zeros((1, 7))])
    assert (image.shape, vector.shape) == ((1, 4, 5, 3), (1, 7))
    assert image.flags.c_contiguous
