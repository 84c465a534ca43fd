"""From what a person types to a network: its module, what it takes, and what is known about its weights.

MODEL is a zoo name, or a network of the user's own; see user_models.py for how one is named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgedeploy.core.errors import ModelInvalid, UsageError
from edgedeploy.core.reporter import Reporter
from edgedeploy.core.spec import ModelSpec, Preprocessing, TensorSpec

from . import factories as user_models
from .official_weights import OFFICIAL, weights_file
from .user_code import ModuleTracker, describe_exception, user_line_of

if TYPE_CHECKING:
    import torch
    from torch import nn

SEED = 0
IMAGE = "image"  # what the single input of an image network is called
DTYPES = ("float32", "int64", "int32", "int16", "int8", "uint8", "bool")
INPUT = re.compile(r"(?:(?P<name>[A-Za-z_]\w*)=)?(?P<shape>\d+(?:[x×]\d+)*)(?::(?P<dtype>\w+))?")


@dataclass(frozen=True)
class Network:
    """A network that is ready to be exported.

    Attributes:
        name: what its artifacts are filed under.
        module: eager, in eval mode, with its weights, its outputs one tensor or a flat tuple; the reference for all proofs.
        inputs: name, shape (batch first) and dtype of each.
        preprocessing: how an image becomes an input.
        task: "classification", "segmentation", "features" or "".
        weights: what the manifest says about them.
        random: the weights are random, and its norms still want statistics.
        source: paper, repository and commit, where they are known.
        output_names: in the module's own order; empty where the pipeline names them after the head.
        examples: of each input, as its source gave them; other inputs are drawn like them.
    """

    name: str
    module: nn.Module
    inputs: tuple[TensorSpec, ...]
    preprocessing: Preprocessing
    task: str
    weights: dict[str, Any]
    random: bool
    source: dict[str, str]
    output_names: tuple[str, ...] = ()
    examples: tuple[NDArray[Any], ...] = field(default=(), repr=False)

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of every input, batch first."""
        return tuple(spec.shape for spec in self.inputs)

    @property
    def image_size(self) -> tuple[int, int] | None:
        """(height, width) where the network takes one RGB image, else None."""
        (spec, *more) = self.inputs
        is_image = not more and len(spec.shape) == 4 and spec.shape[:2] == (1, 3) and spec.dtype == "float32"
        return (spec.shape[2], spec.shape[3]) if is_image else None

    def draw(self, rng: np.random.Generator) -> list[NDArray[Any]]:
        """Seeded inputs: normal with the examples' mean and deviation, integers between their least and largest value.

        Without examples: standard normal; integers and booleans 0 or 1, which every embedding can look up.
        """
        drawn = []
        for index, spec in enumerate(self.inputs):
            example = self.examples[index] if self.examples else None
            if spec.dtype == "float32":
                varied = example is not None and float(example.std()) > 0
                mean, std = (float(example.mean()), float(example.std())) if varied and example is not None else (0, 1)
                drawn.append((mean + std * rng.standard_normal(spec.shape)).astype(np.float32))
            else:
                low, high = (0, 1) if example is None else (int(example.min()), int(example.max()))
                drawn.append(rng.integers(low, max(high, low + 1), spec.shape, endpoint=True).astype(spec.dtype))
        return drawn


def network_for(
    model: str,
    *,
    weights: str | Path | None = None,
    input_size: tuple[int, int] | None = None,
    inputs: Sequence[str] = (),
    num_classes: int | None = None,
    seed: int = SEED,
    reporter: Reporter | None = None,
) -> Network:
    """Builds the network that `model` names.

    Args:
        weights: a file, an address, or "official".
        inputs: as typed after --input, for a network of the user's own.
        reporter: is told how far a download is.

    Raises UnknownName, InputSizeRefused, WeightsInvalid, ModelInvalid, MissingExtra, UsageError.
    """
    weights = weights_file(weights, model, reporter)
    if user_models.is_users(model):
        return _users(model, weights, input_size, inputs, num_classes, seed)
    from edgedeploy.models.zoo import ZOO

    spec = ZOO[model]
    if inputs:
        raise UsageError("--input is for networks of your own", hint=f"--input-size HxW for {spec.name}")
    shape = spec.input_shape(input_size)
    return _from_spec(spec, shape, Path(weights) if weights else None, num_classes, seed)


def _from_spec(
    spec: ModelSpec, shape: tuple[int, int, int, int], weights: Path | None, num_classes: int | None, seed: int
) -> Network:
    from .checkpoints import build_with_weights, randomize

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
    image = TensorSpec(IMAGE, shape, layout="NCHW")
    return Network(
        spec.name, module, (image,), spec.preprocessing, spec.task, facts, random=weights is None, source=source
    )


def _users(
    model: str,
    weights: str | Path | None,
    input_size: tuple[int, int] | None,
    inputs: Sequence[str],
    num_classes: int | None,
    seed: int,
) -> Network:
    import torch

    from .checkpoints import randomize_layers, state_sha256

    official = weights == OFFICIAL
    found = user_models.load(model, num_classes=num_classes, official=official, seed=seed)
    module = _settled(found.module, model)
    specs, examples = _inputs(model, found, inputs, input_size)
    network = Network(
        _free_name(found.name), module, specs, found.preprocessing, found.task, found.weights, found.random,
        {"model": model}, examples=tuple(tensor.detach().cpu().numpy() for tensor in examples),
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):  # lazy modules make their weights at the first run
        torch.manual_seed(seed)
        network = _with_flat_outputs(network, found.keywords)
    if weights is not None and not official:
        return replace(network, weights=_load_weights(module, Path(weights), model), random=False)
    if network.random:
        randomize_layers(module, seed, keep=found.classifier)
    else:
        network.weights.setdefault("sha256", state_sha256(module))
    return network


def _settled(module: nn.Module, model: str) -> nn.Module:
    """On the CPU, in float32, in eval mode."""
    import torch

    module.eval()
    if any(tensor.is_meta for tensor in module.state_dict().values()):
        raise ModelInvalid(f"{model} has parameters on the meta device", hint="build it with real ones")
    floats = {t.dtype for t in module.state_dict().values() if t.is_floating_point()}
    return module.cpu().float() if floats - {torch.float32} else module.cpu()


def _load_weights(module: nn.Module, path: Path, model: str) -> dict[str, Any]:
    from edgedeploy.core.storage.files import sha256_of

    from .checkpoints import load_checkpoint, load_exactly

    state, wrapper = load_checkpoint(path)
    load_exactly(
        module, state, model, path, hint=f"a file that was saved from {model}: torch.save(net.state_dict(), FILE)"
    )
    return {"kind": "checkpoint", "file": str(path), "sha256": sha256_of(path), "wrapper": wrapper}


def _free_name(name: str) -> str:
    """Artifacts of a user's `swin-tiny` do not lie where the zoo's do."""
    from edgedeploy.models.zoo import ZOO

    return f"own-{name}" if name in ZOO else name


def _inputs(
    model: str, found: user_models.UserModel, typed: Sequence[str], size: tuple[int, int] | None
) -> tuple[tuple[TensorSpec, ...], list[torch.Tensor]]:
    """What the network takes: as typed, else as its source says."""
    if typed:
        specs = [parse_input(text) for text in typed]
        names = list(found.examples) if len(found.examples) == len(specs) else []
        names = names or user_models._parameter_names(found.module, len(specs))
        named = tuple(replace(spec, name=spec.name or name) for spec, name in zip(specs, names, strict=True))
        if size is not None:
            raise UsageError("--input and --input-size say the same thing twice", hint="--input alone")
        same = [t for t, s in zip(found.examples.values(), named, strict=False) if tuple(t.shape) == s.shape]
        return _checked(model, named), same if len(same) == len(named) else []
    if not found.examples:
        raise UsageError(
            f"{model} does not say what it takes",
            hint="--input 1x3x224x224 (once for each input), or a factory that returns (module, example_inputs)",
        )
    named = tuple(
        TensorSpec(name, tuple(t.shape), str(t.dtype).removeprefix("torch.")) for name, t in found.examples.items()
    )
    if size is not None:
        image = named[0]
        if len(named) > 1 or len(image.shape) != 4 or image.shape[1] != 3:
            raise UsageError(f"--input-size is for networks that take one RGB image; {model} does not", hint="--input")
        return (replace(image, shape=(*image.shape[:2], *size)),), []
    return _checked(model, named), list(found.examples.values())


def _checked(model: str, specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    for spec in specs:
        if spec.dtype not in DTYPES:
            raise UsageError(
                f"{model}: an input of type {spec.dtype} cannot be exported", hint=f"one of {', '.join(DTYPES)}"
            )
        if not spec.shape or 0 in spec.shape:
            raise UsageError(
                f"{model}: the input {spec.name} is empty or has no dimensions", hint="batch first: 1x3x224x224"
            )
    (first, *more) = specs
    if not more and len(first.shape) == 4 and first.shape[1] == 3 and first.dtype == "float32":
        return (replace(first, name=IMAGE, layout="NCHW"),)
    return specs


def parse_input(text: str) -> TensorSpec:
    """`1x3x224x224`, `1x16:int64` or `tokens=1x16:int64`. Raises UsageError."""
    match = INPUT.fullmatch(text.strip())
    dtype = (match and match["dtype"]) or "float32"
    if match is None or dtype not in DTYPES:
        raise UsageError(
            f"'{text}' is no input",
            hint=f"1x3x224x224, or NAME=1x16:int64 with a name and one of {', '.join(DTYPES)}",
        )
    shape = tuple(int(side) for side in re.split("[x×]", match["shape"]))
    return TensorSpec(match["name"] or "", shape, dtype)


def parse_size(text: str) -> tuple[int, int]:
    """`512x1024` (height x width) or `512`. Raises UsageError."""
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) in (1, 2) and all(part.strip().isdigit() and int(part) > 0 for part in parts):
        return int(parts[0]), int(parts[-1])
    raise UsageError(f"'{text}' is no input size", hint="height x width in pixels, such as 512x512")


def _first_inputs(network: Network) -> list[NDArray[Any]]:
    return list(network.examples) or network.draw(np.random.default_rng(SEED))


def _with_flat_outputs(network: Network, keywords: bool) -> Network:
    """Runs the network once, and names its outputs; one that gives more than a tensor is wrapped. Raises ModelInvalid."""
    import torch

    from edgedeploy.models.adapters.flat import Flat, flatten

    module = network.module
    inputs = tuple(torch.from_numpy(array) for array in _first_inputs(network))
    names = tuple(spec.name for spec in network.inputs) if keywords else ()
    trail = ModuleTracker(module)
    try:
        with torch.no_grad(), trail.followed():
            output = module(**dict(zip(names, inputs, strict=True))) if names else module(*inputs)
    except Exception as error:  # the user's own code may raise anything
        shapes = ", ".join("x".join(map(str, shape)) for shape in network.input_shapes)
        raise ModelInvalid(
            f"{network.name} does not run on an input of {shapes}",
            details=[line for line in (trail.place, *user_line_of(error), describe_exception(error)) if line],
            hint="--input says what it takes, once for each input; batch first",
        ) from error
    leaves = flatten(output)
    if not leaves:
        raise ModelInvalid(f"{network.name} gives no tensor", hint="return at least one")
    output_names = tuple(re.sub(r"[^A-Za-z0-9_.]", "_", name) for name, _ in leaves)
    if not names and (isinstance(output, torch.Tensor) or type(output) in (tuple, list)) and _is_flat(output):
        return replace(network, output_names=output_names)
    return replace(network, module=Flat(module, names).eval(), output_names=output_names)


def _is_flat(output: Any) -> bool:
    import torch

    return isinstance(output, torch.Tensor) or all(isinstance(value, torch.Tensor) for value in output)


def with_features(network: Network) -> Network:
    """The network's four stage outputs instead of its classes, filed under a name of its own.

    Raises UsageError for a segmentation network, ModelInvalid for one that has no stage outputs.
    """
    import torch

    from edgedeploy.models.adapters.features import FEATURE_STRIDES, FeatureBackbone

    if network.task == "segmentation":
        raise UsageError(f"{network.name} is a segmentation network: it has no --head features")
    backbone = FeatureBackbone(network.module).eval()
    with torch.no_grad():
        maps = backbone(*(torch.from_numpy(a) for a in network.draw(np.random.default_rng(SEED))))
    if not isinstance(maps, tuple | list) or len(maps) != len(FEATURE_STRIDES):
        raise ModelInvalid(
            f"forward_features of {network.name} does not give four maps",
            hint="a tuple of the maps at strides 4, 8, 16, 32; of timm: a factory that makes it features_only=True",
        )
    names = tuple(f"stride_{stride}" for stride in FEATURE_STRIDES)
    return replace(network, name=f"{network.name}-features", module=backbone, task="features", output_names=names)
