"""What the float network's own activations say about calibration images: wrong range, wrong channel order, odd layers.

A trained BatchNorm holds the mean and the variance of its inputs during training. Where those of the calibration images
are far from them, the images are not what the network was trained on, or are not prepared in the same way. The first
BatchNorm to run shows it, and it is tried which preparation would fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgedeploy.core.spec import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

if TYPE_CHECKING:
    import torch
    from torch import nn

    from edgedeploy.models.loading import Network

Images = Sequence[NDArray[np.float32]]

MOST_IMAGES = 16
FITS_BETTER = 0.6  # of the distance as it is, and by at least MARGIN
MARGIN = 0.1
FAR = 1.0  # standard deviations between the means, or a factor of e^2 between variances
UNLIKE_OTHERS = 50.0  # largest value of a channel over that of the median channel
SATURATED_SHARE = 0.9
SATURATED = 0.01  # distance from an end, of the range
CONSTANT_SHARE = 0.25
SHOWN = 3


def range_warnings(network: Network, images: Images) -> list[str]:
    """Whether another range or channel order of the images would fit the first BatchNorm; empty where there is none."""
    import torch

    preprocessing = network.preprocessing
    own = torch.from_numpy(np.concatenate(list(images[:MOST_IMAGES])))
    measured = {name: _distance(network, made) for name, made in _preparations(own, preprocessing).items()}
    found = {name: fit for name, fit in measured.items() if fit is not None}
    if len(found) < len(measured):
        return []
    as_it_is = found.pop(_AS_IT_IS)
    best = min(found, key=lambda name: found[name].distance)
    better = found[best].distance
    if better < FITS_BETTER * as_it_is.distance and as_it_is.distance - better > MARGIN:
        return [
            f"the statistics of {as_it_is.layer} fit images with {best} better ({better:.2f} instead of "
            f"{as_it_is.distance:.2f} deviations): prepare them as in the training"
        ]
    if as_it_is.distance > FAR:
        return [
            f"the images are {as_it_is.distance:.1f} deviations from the statistics of {as_it_is.layer}: "
            "they are not of the kind that the network was trained on, or prepared differently"
        ]
    return []


@dataclass(frozen=True)
class _Fit:
    layer: str
    distance: float


_AS_IT_IS = "as it is"


def _preparations(own: torch.Tensor, preprocessing: Preprocessing) -> dict[str, torch.Tensor]:
    """The same images prepared in the ways that are mixed up most."""
    import torch

    def vector(values: Sequence[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1)

    mean, std = vector(preprocessing.mean), vector(preprocessing.std)
    plain = own * std + mean
    ways = {
        _AS_IT_IS: own,
        "red and blue exchanged": (plain.flip(1) - mean) / std,
        "values from 0 to 1": plain,
        "values from -1 to 1": 2 * plain - 1,
        "values from 0 to 255": 255 * plain,
        "ImageNet's mean and deviation": (plain - vector(IMAGENET_MEAN)) / vector(IMAGENET_STD),
    }
    return {name: made for name, made in ways.items() if name == _AS_IT_IS or not torch.allclose(made, own, atol=1e-3)}


class _Reached(Exception):
    """The first BatchNorm has its input, so the rest of the network need not run."""


def _distance(network: Network, images: torch.Tensor) -> _Fit | None:
    """How far the first BatchNorm's input is from what it was trained on; None where no BatchNorm runs."""
    import torch
    from torch import nn

    names = {module: name for name, module in network.module.named_modules()}
    found: list[tuple[nn.Module, torch.Tensor]] = []

    def reached(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        found.append((module, inputs[0].detach()))
        raise _Reached

    norms = [m for m in names if isinstance(m, nn.BatchNorm2d) and _is_trained(m)]
    hooks = [norm.register_forward_pre_hook(reached) for norm in norms]
    try:
        with torch.no_grad(), network.running():
            for image in images[:, None]:
                try:
                    network.module(image)
                except _Reached:
                    continue
    finally:
        for hook in hooks:
            hook.remove()
    if len(found) != len(images):
        return None
    norm: Any = found[0][0]
    values = torch.cat([inputs for _, inputs in found])
    mean, variance = values.mean((0, 2, 3)), values.var((0, 2, 3))
    shift = (mean - norm.running_mean).abs() / (norm.running_var + norm.eps).sqrt()
    ratio = ((variance + norm.eps) / (norm.running_var + norm.eps)).log().abs()
    return _Fit(names[norm], float(shift.median() + ratio.median() / 2))


def _is_trained(norm: nn.BatchNorm2d) -> bool:
    """Its statistics are not those that torch begins with."""
    mean, variance = norm.running_mean, norm.running_var
    return mean is not None and variance is not None and bool((mean != 0).any() or (variance != 1).any())


@dataclass
class _Layer:
    """What a layer returned over all images: the smallest and largest value of each channel, and how much saturates."""

    kind: str
    low: torch.Tensor | None = None
    high: torch.Tensor | None = None
    saturated: float = 0.0
    images: int = 0

    def see(self, module: nn.Module, output: torch.Tensor) -> None:
        import torch

        low, high = output.amin((0, 2, 3)), output.amax((0, 2, 3))
        self.low = low if self.low is None else torch.minimum(self.low, low)
        self.high = high if self.high is None else torch.maximum(self.high, high)
        ends = _ENDS.get(type(module).__name__)
        if ends is not None:
            margin = SATURATED * (ends[1] - ends[0])
            at_ends = output >= ends[1] - margin
            if self.kind != "ReLU6":  # whose 0 is what it is for
                at_ends |= output <= ends[0] + margin
            self.saturated += float(at_ends.float().mean())
        self.images += 1


_ENDS = {"ReLU6": (0.0, 6.0), "Sigmoid": (0.0, 1.0), "Hardsigmoid": (0.0, 1.0), "Tanh": (-1.0, 1.0)}


def layer_warnings(network: Network, images: Images) -> list[str]:
    """Layers that saturate, whose channels are constant, or of which one channel is far larger than the others."""
    layers = _observe(network, images[:MOST_IMAGES])
    odd, constant, saturated = [], [], []
    for name, layer in layers.items():
        assert layer.low is not None, "a layer is listed when it has run"
        assert layer.high is not None, "a layer is listed when it has run"
        largest = np.maximum(np.abs(layer.low.float().numpy()), np.abs(layer.high.float().numpy()))
        ratio = float(largest.max() / max(float(np.median(largest)), 1e-12))
        share = float((layer.high - layer.low <= 1e-6 * (1 + layer.high.abs())).float().mean())
        if layer.kind == "Conv2d" and len(largest) > 1 and ratio > UNLIKE_OTHERS:
            odd.append(f"channel {int(largest.argmax())} of {name} ({ratio:.0f} times the median)")
        if layer.kind in ("Conv2d", "BatchNorm2d") and share > CONSTANT_SHARE:
            constant.append(f"{name} ({share:.0%})")
        if layer.saturated / layer.images > SATURATED_SHARE:
            saturated.append(f"{name} ({layer.saturated / layer.images:.0%})")
    return [
        *_listed(
            odd, "one channel takes the int8 range from the others: ", "keep that layer in float, or scale it down"
        ),
        *_listed(constant, "channels are the same for every image: ", "check the weights and the images"),
        *_listed(saturated, "activations are at the ends of their range: ", "check the images' range and the weights"),
    ]


def _listed(layers: Sequence[str], what: str, advice: str) -> list[str]:
    if not layers:
        return []
    more = f" and {len(layers) - SHOWN} more" if len(layers) > SHOWN else ""
    return [f"{what}{', '.join(layers[:SHOWN])}{more}; {advice}"]


def _observe(network: Network, images: Images) -> dict[str, _Layer]:
    """What every convolution, norm and bounded activation returned; the images run one by one."""
    import torch
    from torch import nn

    layers: dict[str, _Layer] = {}

    def seen(name: str, module: nn.Module, output: object) -> None:
        if isinstance(output, torch.Tensor) and output.ndim == 4:
            known, channels = layers.get(name), output.shape[1]
            if known is not None and known.low is not None and len(known.low) != channels:
                name = f"{name} on {channels} channels"  # one activation that serves several layers
            layers.setdefault(name, _Layer(type(module).__name__)).see(module, output.detach())

    watched = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU6, nn.Sigmoid, nn.Hardsigmoid, nn.Tanh)
    hooks = [
        module.register_forward_hook(lambda module, _inputs, output, name=name: seen(name, module, output))
        for name, module in network.module.named_modules()
        if isinstance(module, watched)
    ]
    try:
        with torch.no_grad(), network.running():
            for image in images:
                network.module(torch.from_numpy(image))
    finally:
        for hook in hooks:
            hook.remove()
    return layers
