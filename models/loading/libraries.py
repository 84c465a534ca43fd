"""Networks of libraries: `timm:NAME` and `torchvision:NAME`."""

from __future__ import annotations

import importlib
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
    try:
        importlib.import_module(library)
    except ImportError:
        raise MissingExtra(library, library, name.text) from None
    except Exception as error:  # a torchvision that was built for another torch raises RuntimeError
        raise ModelInvalid(
            f"{library} is installed but does not load",
            details=[describe_exception(error)],
            hint=f"install the torchvision that was built for torch {torch.__version__}",
        ) from error
    weights = (
        WeightsInfo("pretrained", num_classes=num_classes, library=library)
        if pretrained
        else WeightsInfo("random", seed=seed, num_classes=num_classes)
    )
    build = _from_timm if library == "timm" else _from_torchvision
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return build(model, weights)
    except UsageError:
        raise
    except OSError as error:  # URLError, and what the hub's client raises without a network
        raise ModelInvalid(
            f"the weights of {name.text} cannot be downloaded",
            details=[describe_exception(error)],
            hint="without --weights official the weights are random; or --weights FILE",
        ) from error
    except Exception as error:
        raise ModelInvalid(f"{name.text} could not be built", details=[describe_exception(error)]) from error


def _from_timm(model: str, weights: WeightsInfo) -> UserNetwork:
    import torch

    timm: Any = importlib.import_module("timm")
    if not timm.is_model(model):
        raise UnknownName(
            "timm model", model, timm.list_models(), hint="python -c 'import timm; print(timm.list_models())'"
        )
    module = timm.create_model(
        model, pretrained=weights.kind == "pretrained", exportable=True, **_classes(weights.num_classes)
    )
    config = module.pretrained_cfg
    preprocessing = Preprocessing(
        tuple(config["mean"]),
        tuple(config["std"]),
        crop_pct=config.get("crop_pct") or 1.0,
        interpolation=config.get("interpolation") if config.get("interpolation") == "bicubic" else "bilinear",
    )
    classifier = config.get("classifier", "")
    return UserNetwork(
        safe_name("timm", model),
        module,
        weights,
        {"image": torch.zeros(1, *config["input_size"])},
        preprocessing=preprocessing,
        task="classification",
        classifier=classifier if isinstance(classifier, str) else "",
    )


def _from_torchvision(model: str, weights: WeightsInfo) -> UserNetwork:
    import torch

    models: Any = importlib.import_module("torchvision.models")
    if model not in models.list_models():
        raise UnknownName(
            "torchvision model", model, models.list_models(), hint="torchvision.models.list_models() names them"
        )
    default = models.get_model_weights(model).DEFAULT
    module = models.get_model(
        model, weights=default if weights.kind == "pretrained" else None, **_classes(weights.num_classes)
    )
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
        safe_name("torchvision", model),
        module,
        weights,
        {"image": torch.zeros(1, 3, side, side)},
        preprocessing=preprocessing,
        task="classification" if hasattr(preset, "crop_size") else "",
        classifier=layers[-1],
    )


def _classes(num_classes: int | None) -> dict[str, int]:
    return {} if num_classes is None else {"num_classes": num_classes}
