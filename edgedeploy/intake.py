"""From what a person types to a network: its module, what it takes, and what is known about its weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .core.errors import UsageError
from .core.spec import ModelSpec, Preprocessing

if TYPE_CHECKING:
    from torch import nn

SEED = 0


@dataclass(frozen=True)
class Network:
    """A network that is ready to be exported.

    Attributes:
        name: what its artifacts are filed under.
        module: eager, in eval mode, with its weights; the reference for all proofs.
        input_shapes: of every input, batch first.
        preprocessing: how an image becomes an input.
        task: "classification", "segmentation" or "".
        weights: what the manifest says about them.
        random: the weights are random, and its norms still want statistics.
        macs: at the spec's own input size, or None.
    """

    name: str
    module: nn.Module
    input_shapes: tuple[tuple[int, ...], ...]
    preprocessing: Preprocessing
    task: str
    weights: dict[str, Any]
    random: bool
    source: dict[str, str]

    @property
    def image_size(self) -> tuple[int, int] | None:
        """(height, width) where the network takes one RGB image, else None."""
        (shape, *more) = self.input_shapes
        return (shape[2], shape[3]) if not more and len(shape) == 4 and shape[1] == 3 else None


def network_for(
    model: str,
    *,
    weights: Path | None = None,
    input_size: tuple[int, int] | None = None,
    num_classes: int | None = None,
    seed: int = SEED,
) -> Network:
    """Builds the network that `model` names. Raises UnknownName, InputSizeRefused, WeightsInvalid."""
    from edgedeploy.models.zoo import ZOO

    spec = ZOO[model]
    shape = spec.input_shape(input_size)
    return _from_spec(spec, shape, weights, num_classes, seed)


def _from_spec(
    spec: ModelSpec, shape: tuple[int, int, int, int], weights: Path | None, num_classes: int | None, seed: int
) -> Network:
    from edgedeploy.models.weights import build_with_weights, randomize

    facts: dict[str, Any]
    if weights is None:
        module = randomize(spec, seed, num_classes)
        facts = {"kind": "random", "seed": seed, "num_classes": num_classes or spec.num_classes}
    else:
        loaded = build_with_weights(spec, weights, num_classes)
        module = loaded.module
        facts = {
            "kind": "checkpoint",
            "file": str(weights),
            "sha256": loaded.sha256,
            "wrapper": loaded.wrapper,
            "num_classes": loaded.num_classes,
        }
    source = {"paper": spec.source.paper, "repository": spec.source.repository, "commit": spec.source.commit}
    return Network(
        spec.name, module, (shape,), spec.preprocessing, spec.task, facts, random=weights is None, source=source
    )


def parse_size(text: str) -> tuple[int, int]:
    """`512x1024` (height x width) or `512`. Raises UsageError."""
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) in (1, 2) and all(part.strip().isdigit() and int(part) > 0 for part in parts):
        return int(parts[0]), int(parts[-1])
    raise UsageError(f"'{text}' is no input size", hint="height x width in pixels, such as 512x512")


def check_runs(network: Network) -> None:
    """Runs the network once on zeros; what it raises for a bad input size is explained. Raises UsageError."""
    import torch

    inputs = [torch.zeros(shape) for shape in network.input_shapes]
    try:
        with torch.no_grad():
            network.module(*inputs)
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        shapes = ", ".join("x".join(map(str, np.asarray(shape))) for shape in network.input_shapes)
        raise UsageError(f"{network.name} does not run on an input of {shapes}", details=[first]) from None
