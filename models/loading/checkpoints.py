"""Checkpoints: from a file to a network, with every key accounted for.

What training frameworks wrap around the weights is removed here (`state_dict`, `state_dict_ema`, `module.`); what one
family's authors do differently is in that family's file (`ModelSpec.build_from_checkpoint`, `adapt_state_dict`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgedeploy.core.errors import MissingExtra, WeightsInvalid, first_line
from edgedeploy.core.provenance import WeightsInfo
from edgedeploy.core.spec import ModelSpec
from edgedeploy.core.storage.files import sha256_of

from .random_weights import build

# Averaged weights are the ones that the authors evaluated, so they come before the raw ones.
WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")
PREFIXES = ("module.", "_orig_mod.")
# Heads that only train; mmsegmentation writes them beside the network.
TRAINING_ONLY = re.compile(r"^auxiliary_head\.|\.total_(ops|params)$")
SHOWN = 5


def load_checkpoint(path: Path, suffix: str | None = None) -> tuple[dict[str, Tensor], str]:
    """The tensors of a `.pth`, `.pt`, `.bin` or `.safetensors` file by name, and the entry that held them.

    Pickles are read with `weights_only=True`: a checkpoint cannot run code. `suffix` stands for the file's own where a
    download has its final name not yet. Raises WeightsInvalid.
    """
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*") if p.suffix in (".pth", ".pt", ".bin", ".safetensors")]
        raise WeightsInvalid(
            f"there is no checkpoint {path}",
            details=[f"in {path.parent}: {', '.join(sorted(near)[:SHOWN])}"] if near else [],
        )
    if (path.suffix if suffix is None else suffix) == ".safetensors":
        return _read_safetensors(path), ""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises nearly anything for a file that is none
        unsafe = "weights_only" in str(error) or "Unsupported" in str(error)
        raise WeightsInvalid(
            f"{path} cannot be read as a checkpoint",
            details=[first_line(error)],
            hint="save its state_dict alone: a pickle that needs code to load is never executed here"
            if unsafe
            else "download it again; it may be cut short, or not a PyTorch file",
        ) from None
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            return _tensors(content[wrapper], path), wrapper
    if not isinstance(content, Mapping):
        raise WeightsInvalid(f"{path} holds an object of type {type(content).__name__}, not weights by name")
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


def build_with_weights(spec: ModelSpec, path: Path, num_classes: int | None = None) -> tuple[nn.Module, WeightsInfo]:
    """The spec's network with a checkpoint's weights, in eval mode.

    The checkpoint decides the class count. Raises WeightsInvalid, which names every key that is missing, unexpected or of
    another shape.
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
    if spec.build_from_checkpoint is not None:
        module = spec.build_from_checkpoint(state, classes or num_classes)
    else:
        module = build(spec, classes or num_classes)
    load_exactly(module, state, spec.name, path)
    return module, _info(path, wrapper, classes)


def load_weights(module: nn.Module, path: Path, model: str) -> WeightsInfo:
    """Loads a checkpoint into a network of the user, in place. Raises WeightsInvalid."""
    state, wrapper = load_checkpoint(path)
    hint = f"a file that was saved from {model}: torch.save(net.state_dict(), FILE)"
    classes = _other_class_count(module, state)
    if classes is not None:
        hint = f"--num-classes {classes}: the file's last layer has so many outputs"
    load_exactly(module, state, model, path, hint=hint)
    return _info(path, wrapper)


def _other_class_count(module: nn.Module, state: Mapping[str, Tensor]) -> int | None:
    """The number of classes of a checkpoint that fits but for it; None where more differs."""
    wanted = module.state_dict()
    differing = [key for key in wanted if key in state and state[key].shape != wanted[key].shape]
    counts = {(wanted[key].shape[0], state[key].shape[0]) for key in differing if wanted[key].ndim}
    only_outputs = all(state[key].shape[1:] == wanted[key].shape[1:] for key in differing)
    if len(counts) != 1 or not only_outputs or len(differing) > SHOWN:
        return None
    ((_, classes),) = counts
    return int(classes)


def _info(path: Path, wrapper: str, num_classes: int | None = None) -> WeightsInfo:
    return WeightsInfo("checkpoint", sha256=sha256_of(path), num_classes=num_classes, file=str(path), wrapper=wrapper)


def load_exactly(
    module: nn.Module,
    state: dict[str, Tensor],
    name: str,
    path: Path,
    *,
    hint: str = "edgedeploy models lists the variants; the file may be of another one",
) -> None:
    """Loads every tensor. Raises WeightsInvalid, which names missing, unexpected and misshapen keys."""
    wanted = module.state_dict()
    # BatchNorm's counter is not used in inference and older files lack it
    missing = [key for key in wanted if key not in state and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in state if key not in wanted]
    misshapen = [
        f"{key}: {list(state[key].shape)} in the file, {list(wanted[key].shape)} in the network"
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    if missing or unexpected or misshapen:
        raise WeightsInvalid(
            f"{path} does not fit {name}",
            details=[
                *_listed("missing in the file", missing),
                *_listed("unexpected in the file", unexpected),
                *_listed("of another shape", misshapen),
            ],
            hint=hint,
        )
    module.load_state_dict(state, strict=False)
    module.eval()


def _known_prefix(spec: ModelSpec, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Removes one prefix that all keys share, such as mmsegmentation's `backbone.` around a bare classifier."""
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
