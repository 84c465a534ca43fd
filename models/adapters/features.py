"""A classification network without its classifier: the four maps that detection and segmentation heads are put on.

The convention: a network has a method `forward_features(x)` that returns a tuple of four maps (B, C, H/s, W/s), finest
first, at the strides s of `FEATURE_STRIDES`, before any norm or convolution that belongs to the classifier. That method is
all that a family adds; `FeatureBackbone(network)` makes a module of it, which is exported like any other.
"""

from __future__ import annotations

from typing import Protocol, cast

from torch import Tensor, nn

from edgedeploy.core.errors import ModelInvalid

FEATURE_STRIDES = (4, 8, 16, 32)


class HasFeatures(Protocol):
    """A network that follows the convention."""

    def forward_features(self, x: Tensor) -> tuple[Tensor, ...]:
        """The four maps, finest first."""
        ...


class FeatureBackbone(nn.Module):
    """`network`'s four stage outputs: (B, 3, H, W) -> maps at strides 4, 8, 16, 32.

    The whole network stays inside, so its checkpoint loads as ever; what only the classifier needs drops out of an
    export, since nothing uses it. Raises ModelInvalid where the network has no `forward_features`.
    """

    feature_strides = FEATURE_STRIDES
    adapts = "network"  # paths of modules begin inside of it

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        if not callable(getattr(network, "forward_features", None)):
            raise ModelInvalid(
                f"{type(network).__name__} has no stage outputs to take",
                hint="a method forward_features(x) that returns the maps at strides 4, 8, 16 and 32",
            )
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return cast(HasFeatures, self.network).forward_features(x)
