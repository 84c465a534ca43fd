"""Seeded random weights, and the hash of all weights that a network holds."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn

from edgedeploy.core.spec import ModelSpec

LONG_SUM = 800  # terms; a dense 3x3 kernel over 96 channels sums 864
NORM_BATCH = 8


def build(spec: ModelSpec, num_classes: int | None = None) -> nn.Module:
    """The spec's network with torch's default initialisation, in eval mode."""
    return spec.build(num_classes=num_classes) if num_classes else spec.build()


def randomize(spec: ModelSpec, seed: int, num_classes: int | None = None) -> nn.Module:
    """The spec's network with seeded random weights that behave like trained ones under small disturbances.

    Weights of a layer with fan-in n are (z + 0.5) / sqrt(n), z standard normal; BatchNorms have gain 0.5 and bias 0.5.
    Without the two shifts a deep network whose norms hold measured statistics is chaotic: it amplifies any disturbance by
    about 1.2 per layer (Yang et al. 2019, https://arxiv.org/abs/1902.08129), two exact float runs differ by 5e-4 of the
    output's deviation and int8 is at 1 dB (TopFormer-tiny). The positive mean makes channels carry a common signal and
    average out independent errors, as trained ones do: 3e-6 and 36 dB. A dense 3x3 kernel over many channels gets no mean:
    a thousand like terms in the one running sum of XNNPACK's kernels cost accuracy (XFormer in TFLite: 9e-5 instead of
    2.5e-5). The classifier keeps torch's initialisation.

    torch's global random state stays as it is.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = build(spec, num_classes)
        _randomize(module, spec.classifier)
    return module


def randomize_layers(module: nn.Module, seed: int, keep: str | None = None) -> None:
    """`randomize` for a network that is built already, in place; the layer with the path `keep` stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _randomize(module, keep)


def _randomize(module: nn.Module, keep: str | None) -> None:
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and name != keep:
            scale = layer.weight[0].numel() ** -0.5
            dense = isinstance(layer, nn.Conv2d) and layer.groups == 1 and min(layer.kernel_size) >= 3
            mean = 0.0 if dense and layer.weight[0].numel() > LONG_SUM else 0.5 * scale
            nn.init.normal_(layer.weight, mean=mean, std=scale)
        elif isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.affine:
            nn.init.constant_(layer.weight, 0.5)
            nn.init.constant_(layer.bias, 0.5)


def estimate_norms(module: nn.Module, images: Tensor) -> None:
    """Sets every BatchNorm's statistics to those of these images (N, 3, H, W), in place.

    Random weights with the default statistics (mean 0, variance 1) make activations vanish or explode, and figures about
    quantization then describe that instead of the network.
    """
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
        norm.train()
    with torch.no_grad():
        for batch in images.split(NORM_BATCH):
            if len(batch) > 1:
                module(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def state_sha256(module: nn.Module) -> str:
    """The SHA-256 of all parameters and buffers with their names, whatever file they came from."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().contiguous().view(-1).numpy().tobytes() if tensor.numel() else b"")
    return digest.hexdigest()
