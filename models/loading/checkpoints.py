"""Checkpoints: from a file to a network, with every key accounted for.

What training frameworks wrap around the weights is taken off here (`state_dict`, `state_dict_ema`, `module.`); what one
family's authors do differently is that family's matter (`ModelSpec.build(checkpoint=...)`, `adapt_state_dict`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgedeploy.core.errors import MissingExtra, WeightsInvalid
from edgedeploy.core.spec import ModelSpec
from edgedeploy.core.storage.files import sha256_of

# Averaged weights are the ones that the authors evaluated, so they come before the raw ones.
WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")
PREFIXES = ("module.", "_orig_mod.")
# Heads that only train; mmsegmentation writes them beside the network.
TRAINING_ONLY = re.compile(r"^auxiliary_head\.|\.total_(ops|params)$")
SHOWN = 5
LONG_SUM = 800  # terms; a dense window of 3x3 over 96 channels has 864


@dataclass(frozen=True)
class LoadedWeights:
    """A network with a checkpoint's weights, and what is known about the file."""

    module: nn.Module
    path: Path
    sha256: str
    wrapper: str
    num_classes: int | None


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], str]:
    """The tensors of a `.pth`, `.pt`, `.bin` or `.safetensors` file by name, and the wrapper that they were found in.

    Pickles are read with `weights_only=True`: a checkpoint cannot run code. Raises WeightsInvalid.
    """
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*") if p.suffix in (".pth", ".pt", ".bin", ".safetensors")]
        raise WeightsInvalid(
            f"there is no checkpoint {path}",
            details=[f"in {path.parent}: {', '.join(sorted(near)[:SHOWN])}"] if near else [],
        )
    if path.suffix == ".safetensors":
        return _read_safetensors(path), ""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises nearly anything for a file that is none
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        unsafe = "weights_only" in str(error) or "Unsupported" in str(error)
        raise WeightsInvalid(
            f"{path} cannot be read as a checkpoint",
            details=[first],
            hint="save its state_dict alone: a pickle that needs code to load is never executed here"
            if unsafe
            else "download it again; it may be cut short, or not a PyTorch file",
        ) from None
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            return _tensors(content[wrapper], path), wrapper
    if not isinstance(content, Mapping):
        raise WeightsInvalid(f"{path} holds a {type(content).__name__}, not weights by name")
    return _tensors(content, path), ""


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError:
        raise MissingExtra("torch", "safetensors", "reading a .safetensors checkpoint") from None
    try:
        return _tensors(load_file(path), path)
    except (SafetensorError, OSError) as error:
        raise WeightsInvalid(f"{path} cannot be read", details=[str(error)], hint="download it again") from None


def _tensors(content: Mapping[Any, Any], path: Path) -> dict[str, Tensor]:
    tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        keys = ", ".join(map(str, list(content)[:SHOWN]))
        raise WeightsInvalid(f"{path} holds no tensors", details=[f"its entries: {keys}"])
    for prefix in PREFIXES:
        if all(key.startswith(prefix) for key in tensors):
            tensors = {key.removeprefix(prefix): value for key, value in tensors.items()}
    return {key: value for key, value in tensors.items() if not TRAINING_ONLY.search(key)}


def build_with_weights(spec: ModelSpec, path: Path, num_classes: int | None = None) -> LoadedWeights:
    """The spec's network with a checkpoint's weights, in eval mode.

    The checkpoint decides the class count. Every key must find its place: a missing, left-over or misshapen one is an
    error that names it.
    """
    state, wrapper = load_checkpoint(path)
    state = _known_prefix(spec, state)
    if spec.adapt_state_dict is not None:
        state = spec.adapt_state_dict(state, spec.build())
    head = state.get(f"{spec.classifier}.weight") if spec.classifier else None
    classes = int(head.shape[0]) if head is not None else None
    if num_classes is not None and classes not in (None, num_classes):
        raise WeightsInvalid(
            f"{path} has {classes} classes, not {num_classes}",
            hint=f"leave --num-classes out, or --num-classes {classes}",
        )
    module = build(spec, classes or num_classes, state)
    load_exactly(module, state, spec.name, path)
    return LoadedWeights(module, path, sha256_of(path), wrapper, classes)


def build(spec: ModelSpec, num_classes: int | None, checkpoint: Mapping[str, Tensor] | None = None) -> nn.Module:
    """The spec's network, its shapes decided by the checkpoint where the family lets it."""
    accepts = getattr(spec.build, "__code__", None)
    if checkpoint is not None and accepts is not None and "checkpoint" in accepts.co_varnames:
        return spec.build(num_classes=num_classes, checkpoint=checkpoint)
    return spec.build(num_classes=num_classes) if num_classes else spec.build()


def load_exactly(
    module: nn.Module,
    state: dict[str, Tensor],
    name: str,
    path: Path,
    *,
    hint: str = "edgedeploy models lists the variants; the file may be of another one",
) -> None:
    """Loads every tensor. Raises WeightsInvalid naming missing, left-over and misshapen keys."""
    wanted = module.state_dict()
    # BatchNorm's counter is not used in inference and older files lack it
    missing = [key for key in wanted if key not in state and not key.endswith("num_batches_tracked")]
    left_over = [key for key in state if key not in wanted]
    misshapen = [
        f"{key}: {list(state[key].shape)} in the file, {list(wanted[key].shape)} in the network"
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    if missing or left_over or misshapen:
        raise WeightsInvalid(
            f"{path} does not fit {name}",
            details=[
                *_listed("missing in the file", missing),
                *_listed("left over in the file", left_over),
                *_listed("of another shape", misshapen),
            ],
            hint=hint,
        )
    module.load_state_dict(state, strict=False)
    module.eval()


def _known_prefix(spec: ModelSpec, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Takes off, or puts on, one prefix that all keys share: mmseg's `backbone.` around a bare classifier, and so on."""
    wanted = set(spec.build().state_dict())
    if wanted & set(state):
        return state
    for prefix in ("backbone.", "encoder.", "model.", "net."):
        stripped = {key.removeprefix(prefix): value for key, value in state.items()}
        if wanted & set(stripped):
            return stripped
    return state


def _listed(what: str, keys: Iterable[str]) -> list[str]:
    keys = list(keys)
    if not keys:
        return []
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return [f"{len(keys)} {what}: {', '.join(keys[:SHOWN])}{more}"]


def randomize(spec: ModelSpec, seed: int, num_classes: int | None = None) -> nn.Module:
    """The spec's network with seeded random weights that behave like trained ones under small disturbances.

    Weights of a layer with fan-in n are (z + 0.5) / sqrt(n), z standard normal; BatchNorms have gain 0.5 and bias 0.5.
    Without the two shifts a deep network whose norms hold measured statistics is chaotic: it amplifies any disturbance by
    about 1.2 per layer (Yang et al. 2019, https://arxiv.org/abs/1902.08129), two exact float runs differ by 5e-4 of the
    output's deviation and int8 is at 1 dB (TopFormer-tiny). The positive mean makes channels carry a common signal and
    average out independent errors, as trained ones do: 3e-6 and 36 dB. A dense 3x3 window over many channels gets no mean:
    a thousand like terms in the one running sum of XNNPACK's kernels cost accuracy (XFormer in TFLite: 9e-5 instead of
    2.5e-5). The classifier keeps torch's initialisation.

    The caller's random state is left alone.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = build(spec, num_classes)
        _randomize(module, spec.classifier)
    return module


def randomize_layers(module: nn.Module, seed: int, keep: str = "") -> None:
    """`randomize` for a network that is built already, in place; the layer called `keep` stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _randomize(module, keep)


def _randomize(module: nn.Module, classifier: str) -> None:
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and name != classifier:
            scale = layer.weight[0].numel() ** -0.5
            window = isinstance(layer, nn.Conv2d) and layer.groups == 1 and min(layer.kernel_size) >= 3
            mean = 0.0 if window and layer.weight[0].numel() > LONG_SUM else 0.5 * scale
            nn.init.normal_(layer.weight, mean=mean, std=scale)
        elif isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.affine:
            nn.init.constant_(layer.weight, 0.5)
            nn.init.constant_(layer.bias, 0.5)


def estimate_norms(module: nn.Module, images: Tensor) -> None:
    """Sets every BatchNorm's statistics to those of these images (N, 3, h, w), in place.

    Random weights with the default statistics (mean 0, variance 1) make activations vanish or explode, and every figure
    about quantization then says something about that.
    """
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
        norm.train()
    with torch.no_grad():
        for batch in images.split(8):
            if len(batch) > 1:
                module(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def state_sha256(module: nn.Module) -> str:
    """Of all parameters and buffers, by name: what weights a network holds, whatever file they came from."""
    import hashlib

    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().contiguous().view(-1).numpy().tobytes() if tensor.numel() else b"")
    return digest.hexdigest()
