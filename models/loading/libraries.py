"""Networks of libraries: `timm:NAME` and `torchvision:NAME`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from edgedeploy.core.errors import MissingExtra, ModelInvalid, UnknownName, UsageError
from edgedeploy.core.provenance import WeightsInfo
from edgedeploy.core.spec import Preprocessing

from .names import ModelName, safe_name
from .user_code import describe_exception
from .user_network import UserNetwork


def from_library(name: ModelName, *, num_classes: int | None, pretrained: bool, seed: int) -> UserNetwork:
    """Builds the network, with the library's pretrained weights or ready for random ones.

    Raises MissingExtra, ModelInvalid, UnknownName.
    """
    import torch

    library, model = name.source, name.attribute
    arguments = _with_classes(name, num_classes)
    try:
        importlib.import_module(library)
    except ModuleNotFoundError as error:
        missing = (error.name or library).partition(".")[0]
        if missing == library:
            raise MissingExtra(library, library, name.text) from None
        raise ModelInvalid(
            f"{name.text} needs the package '{missing}', which {library} imports and which is not installed",
            hint=_how_to_install(missing),
        ) from None
    except Exception as error:  # a torchvision that was built for another torch raises RuntimeError
        raise ModelInvalid(
            f"{library} is installed but does not load",
            details=[describe_exception(error)],
            hint=_how_to_install("torchvision"),
        ) from error
    if arguments.get("num_classes") is not None:
        num_classes = _class_count(name, arguments["num_classes"])
    weights = (
        WeightsInfo("pretrained", num_classes=num_classes, library=library)
        if pretrained
        else WeightsInfo("random", seed=seed, num_classes=num_classes)
    )
    build = _from_timm if library == "timm" else _from_torchvision
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return build(name, weights, arguments)
    except UsageError:
        raise
    except OSError as error:  # URLError, and what the hub's client raises without a network
        raise ModelInvalid(
            f"the weights of {name.text} cannot be downloaded",
            details=[describe_exception(error)],
            hint="without --weights official the weights are random; or --weights FILE",
        ) from error
    except Exception as error:
        hint = f"what follows '?' is given to {library}'s constructor of {model}" if name.arguments else None
        raise ModelInvalid(f"{name.text} could not be built", details=[describe_exception(error)], hint=hint) from error


def _how_to_install(package: str) -> str:
    import torch

    if package != "torchvision":
        return f"pip install {package}"
    return f"install the torchvision that was built for torch {torch.__version__}"


def _with_classes(name: ModelName, num_classes: int | None) -> dict[str, object]:
    """The constructor's arguments."""
    if num_classes is None:
        return dict(name.arguments)
    if "num_classes" in name.arguments:
        raise UsageError(f"{name.text} and --num-classes both give the number of classes", hint="one of them")
    return {**name.arguments, "num_classes": num_classes}


def _class_count(name: ModelName, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"{name.text}: num_classes={value} is no number of classes", hint="num_classes=10")
    return value


def _from_timm(name: ModelName, weights: WeightsInfo, arguments: Mapping[str, Any]) -> UserNetwork:
    import torch

    model = name.attribute
    timm: Any = importlib.import_module("timm")
    if not timm.is_model(model):
        raise UnknownName(
            "timm model", model, timm.list_models(), hint="python -c 'import timm; print(timm.list_models())'"
        )
    chosen = {"pretrained": weights.kind == "pretrained", "exportable": True, **arguments}
    module = timm.create_model(model, **chosen)
    config = module.pretrained_cfg
    preprocessing = Preprocessing(
        tuple(config["mean"]),
        tuple(config["std"]),
        crop_pct=config.get("crop_pct") or 1.0,
        interpolation=config.get("interpolation") if config.get("interpolation") == "bicubic" else "bilinear",
    )
    classifier = config.get("classifier", "")
    return UserNetwork(
        safe_name("timm", *name.words),
        module,
        weights,
        {"image": torch.zeros(1, *_input_size(config["input_size"], arguments))},
        preprocessing=preprocessing,
        task="classification",
        classifier=classifier if isinstance(classifier, str) else "",
    )


def _input_size(default: tuple[int, int, int], arguments: Mapping[str, Any]) -> tuple[int, ...]:
    """(channels, height, width): the network's own, but what its arguments say."""
    channels, *size = default
    side = arguments.get("img_size") or size
    return (arguments.get("in_chans") or channels, *([side, side] if isinstance(side, int) else side))


def _from_torchvision(name: ModelName, weights: WeightsInfo, arguments: Mapping[str, Any]) -> UserNetwork:
    import torch

    model = name.attribute
    models: Any = importlib.import_module("torchvision.models")
    if model not in models.list_models():
        raise UnknownName(
            "torchvision model", model, models.list_models(), hint="torchvision.models.list_models() names them"
        )
    default = models.get_model_weights(model).DEFAULT
    chosen = {"weights": default if weights.kind == "pretrained" else None, **arguments}
    module = models.get_model(model, **chosen)
    # the attributes of torchvision's ImageClassification preset; other tasks' presets lack some
    preset = default.transforms()
    (side,), (resize,) = getattr(preset, "crop_size", [224]), getattr(preset, "resize_size", [224])
    preprocessing = Preprocessing(
        tuple(getattr(preset, "mean", Preprocessing.mean)),
        tuple(getattr(preset, "std", Preprocessing.std)),
        crop_pct=side / resize,
        interpolation="bicubic" if "bicubic" in str(getattr(preset, "interpolation", "")).lower() else "bilinear",
    )
    layers = [path for path, layer in module.named_modules() if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d)]
    return UserNetwork(
        safe_name("torchvision", *name.words),
        module,
        weights,
        {"image": torch.zeros(1, 3, side, side)},
        preprocessing=preprocessing,
        task="classification" if hasattr(preset, "crop_size") else "",
        classifier=layers[-1],
    )
