"""From a name to a network: its module, what it takes, and where its weights come from.

`names` lists what a name may be.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgedeploy.core.errors import ModelInvalid, UsageError
from edgedeploy.core.provenance import WeightsInfo
from edgedeploy.core.reporter import NullReporter, Reporter
from edgedeploy.core.spec import ModelSpec, Preprocessing, TensorSpec

from .inputs import IMAGE, inputs_of
from .names import ModelName, parse_name
from .official_weights import OFFICIAL, weights_file
from .user_code import ModuleTracker, describe_exception, importable, user_line_of

if TYPE_CHECKING:
    from torch import nn

    from .user_network import UserNetwork

SEED = 0


@dataclass(frozen=True)
class LoadOptions:
    """How a network is loaded.

    Attributes:
        weights: a checkpoint's file or address, or "official"; None for random ones, or for the user's own as they are.
        input_size: (height, width) of an image network; None for its own.
        inputs: what a network of the user takes, such as "1x3x224x224" or "tokens=1x16:int64", one for each input.
        num_classes: None for the network's or the checkpoint's own.
        seed: of random weights.
    """

    weights: str | Path | None = None
    input_size: tuple[int, int] | None = None
    inputs: tuple[str, ...] = ()
    num_classes: int | None = None
    seed: int = SEED


@dataclass(frozen=True)
class Network:
    """A network that is ready to be exported.

    Attributes:
        name: of the folder of its artifacts.
        module: eager, in eval mode, with its weights; its outputs are one tensor or a flat tuple. The reference of every
            verification.
        inputs: name, shape (batch first) and dtype of each.
        preprocessing: how an image becomes an input.
        task: "classification", "segmentation", "features" or "".
        weights: where they come from.
        source: paper, repository and commit of a network of the zoo; `model` and `file` of the user's own.
        output_names: in the module's own order; empty where the pipeline names them after the head.
        examples: one of each input, as its source gave them; empty where it gave none.
        code_folder: where the user's code finds the modules that it imports; None for other networks.
    """

    name: str
    module: nn.Module
    inputs: tuple[TensorSpec, ...]
    preprocessing: Preprocessing
    task: str
    weights: WeightsInfo
    source: Mapping[str, str]
    output_names: tuple[str, ...] = ()
    examples: tuple[NDArray[Any], ...] = field(default=(), repr=False)
    code_folder: Path | None = None

    @property
    def random(self) -> bool:
        """The weights are random."""
        return self.weights.kind == "random"

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

    def running(self) -> contextlib.AbstractContextManager[None]:
        """A block in which the module may run: forward passes and capture. The user's code can import in it."""
        return _running(self.code_folder)

    def draw(self, rng: np.random.Generator) -> list[NDArray[Any]]:
        """Random inputs: normal with the examples' mean and deviation, integers between their least and largest value.

        Without examples: standard normal; integers and booleans 0 or 1, which are valid for every embedding.
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


@contextlib.contextmanager
def _running(code_folder: Path | None) -> Iterator[None]:
    """Raises ModelInvalid where the user's code asks the whole program to end."""
    try:
        with importable(code_folder):
            yield
    except SystemExit as error:
        raise ModelInvalid(
            "the network ended the program while it ran",
            details=[*user_line_of(error), describe_exception(error)],
            hint="raise an error in its place: a network must not call sys.exit",
        ) from error


def load_network(model: str, options: LoadOptions | None = None, reporter: Reporter | None = None) -> Network:
    """Builds the network that `model` names, with its weights.

    Args:
        reporter: receives the stages "download" and "build"; the call must not stand in a stage of the caller.

    Raises UnknownName, InputSizeRefused, WeightsInvalid, ModelInvalid, MissingExtra, UsageError.
    """
    options, reporter = options or LoadOptions(), reporter or NullReporter()
    name = parse_name(model)
    checkpoint = weights_file(options.weights, name, reporter)
    with reporter.stage(f"build {model}"):
        if name.kind != "zoo":
            return _load_user_network(name, checkpoint, options)
        from edgedeploy.models.zoo import ZOO

        return _load_zoo_network(ZOO[model], checkpoint, options)


def create_model(name: str, weights: str | Path | None = None, *, num_classes: int | None = None) -> nn.Module:
    """The eager reference network in eval mode, with the official state_dict keys.

    Args:
        name: a zoo name, or a network of your own as `edgedeploy export` takes it.
        weights: a file, an address, or "official"; without them the parameters are seeded random ones, the same at
            every call.
    """
    return load_network(name, LoadOptions(weights=weights, num_classes=num_classes)).module


def with_features(network: Network) -> Network:
    """The network with its four stage outputs instead of its classes, under a name of its own.

    Raises UsageError for a segmentation network, ModelInvalid for one that has no stage outputs.
    """
    import torch

    from edgedeploy.models.adapters.features import FEATURE_STRIDES, FeatureBackbone

    if network.task == "segmentation":
        raise UsageError(f"{network.name} is a segmentation network: it has no --head features")
    backbone = FeatureBackbone(network.module).eval()
    with torch.no_grad(), network.running():
        maps = backbone(*(torch.from_numpy(a) for a in network.draw(np.random.default_rng(SEED))))
    if not isinstance(maps, tuple | list) or len(maps) != len(FEATURE_STRIDES):
        raise ModelInvalid(
            f"forward_features of {network.name} does not return four maps",
            hint="a tuple of the maps at strides 4, 8, 16, 32; of timm: a factory that makes it features_only=True",
        )
    names = tuple(f"stride_{stride}" for stride in FEATURE_STRIDES)
    return replace(network, name=f"{network.name}-features", module=backbone, task="features", output_names=names)


def with_random_weights_settled(network: Network, images: NDArray[np.float32] | None) -> Network:
    """A network of random weights whose BatchNorm statistics and SHA-256 are final.

    The statistics are set in the module itself, which the result shares with `network`.

    Args:
        images: preprocessed, float32 (N, 3, H, W), to estimate the statistics from; None leaves them as they are.
    """
    import torch

    from .random_weights import estimate_norms, state_sha256

    if images is not None:
        with network.running():
            estimate_norms(network.module, torch.from_numpy(images))
    return replace(network, weights=replace(network.weights, sha256=state_sha256(network.module)))


def _load_zoo_network(spec: ModelSpec, checkpoint: Path | None, options: LoadOptions) -> Network:
    from .checkpoints import build_with_weights
    from .random_weights import randomize

    if options.inputs:
        raise UsageError("--input is for networks of your own", hint=f"--input-size HxW for {spec.name}")
    image = TensorSpec(IMAGE, spec.input_shape(options.input_size), layout="NCHW")
    if checkpoint is None:
        module = randomize(spec, options.seed, options.num_classes)
        weights = WeightsInfo("random", seed=options.seed, num_classes=options.num_classes or spec.num_classes)
    else:
        module, weights = build_with_weights(spec, checkpoint, options.num_classes)
    source = {"paper": spec.source.paper, "repository": spec.source.repository, "commit": spec.source.commit}
    return Network(spec.name, module, (image,), spec.preprocessing, spec.task, weights, source)


def _load_user_network(name: ModelName, checkpoint: Path | None, options: LoadOptions) -> Network:
    import torch

    from .checkpoints import load_weights
    from .random_weights import randomize_layers, state_sha256

    found = _find(name, options)
    module = _prepared(found.module, name.text)
    inputs = inputs_of(name.text, module, found.examples, typed=options.inputs, size=options.input_size)
    network = Network(
        _folder_name(found.name),
        module,
        inputs.specs,
        found.preprocessing,
        found.task,
        found.weights,
        {"model": name.text, **({"file": str(found.file.resolve())} if found.file else {})},
        examples=tuple(tensor.detach().cpu().numpy() for tensor in inputs.examples),
        code_folder=found.code_folder,
    )
    with torch.random.fork_rng(devices=[]):  # lazy modules make their weights at the first run
        torch.manual_seed(options.seed)
        network = _with_flat_outputs(network, found.by_position if found.by_name else len(inputs.specs))
    if checkpoint is not None:
        return replace(network, weights=load_weights(module, checkpoint, name.text))
    if network.random:
        randomize_layers(module, options.seed, keep=found.classifier or None)
    elif not network.weights.sha256:
        return replace(network, weights=replace(network.weights, sha256=state_sha256(module)))
    return network


def _find(name: ModelName, options: LoadOptions) -> UserNetwork:
    if name.kind == "program":
        from .programs.exported_program import from_program

        return from_program(name, num_classes=options.num_classes)
    if name.kind == "library":
        from .libraries import from_library

        pretrained = options.weights == OFFICIAL
        return from_library(name, num_classes=options.num_classes, pretrained=pretrained, seed=options.seed)
    from .factories import from_factory

    return from_factory(name, num_classes=options.num_classes, seed=options.seed)


def _prepared(module: nn.Module, model: str) -> nn.Module:
    """The module on the CPU, in float32, in eval mode."""
    import torch

    module.eval()
    if any(tensor.is_meta for tensor in module.state_dict().values()):
        raise ModelInvalid(f"{model} has parameters on the meta device", hint="build it with real ones")
    floats = {t.dtype for t in module.state_dict().values() if t.is_floating_point()}
    return module.cpu().float() if floats - {torch.float32} else module.cpu()


def _folder_name(name: str) -> str:
    """A name that no network of the zoo has, so that the artifacts of the two do not mix."""
    from edgedeploy.models.zoo import ZOO

    return f"own-{name}" if name in ZOO else name


def _with_flat_outputs(network: Network, by_position: int) -> Network:
    """Runs the network once and names its outputs; nested outputs are flattened by a wrapper. Raises ModelInvalid.

    Args:
        by_position: how many inputs the module takes by position; the others by name.
    """
    import torch

    from edgedeploy.models.adapters.flat import Flat, flatten

    module = network.module
    drawn = network.examples or network.draw(np.random.default_rng(SEED))
    inputs = tuple(torch.tensor(array) for array in drawn)
    names = tuple(spec.name for spec in network.inputs[by_position:])
    tracker = ModuleTracker(module)
    try:
        with torch.no_grad(), network.running(), tracker.tracking():
            output = module(*inputs[:by_position], **dict(zip(names, inputs[by_position:], strict=True)))
    except ModelInvalid:
        raise
    except Exception as error:  # the user's own code may raise anything
        shapes = ", ".join("x".join(map(str, shape)) for shape in network.input_shapes)
        raise ModelInvalid(
            f"{network.name} does not run on an input of {shapes}",
            details=[line for line in (tracker.innermost, *user_line_of(error), describe_exception(error)) if line],
            hint="--input gives what it takes, once for each input; batch first",
        ) from error
    leaves = flatten(output)
    if not leaves:
        raise ModelInvalid(f"{network.name} returns no tensor", hint="return at least one")
    output_names = tuple(re.sub(r"[^A-Za-z0-9_.]", "_", name) for name, _ in leaves)
    changed = any(not np.array_equal(x.numpy(), array, equal_nan=True) for x, array in zip(inputs, drawn, strict=True))
    if not names and not changed and _is_flat(output):
        return replace(network, output_names=output_names)
    return replace(network, module=Flat(module, names, copies_inputs=changed).eval(), output_names=output_names)


def _is_flat(output: Any) -> bool:
    import torch

    if isinstance(output, torch.Tensor):
        return True
    return type(output) in (tuple, list) and all(isinstance(value, torch.Tensor) for value in output)
