"""A network of the user's own: where it comes from, and what its source says about it.

    net.py:make            a function, class or module in a file
    package.net:make       the same, importable from here
    timm:NAME              timm.create_model(NAME)
    torchvision:NAME       torchvision.models.get_model(NAME)
    net.pt2                torch.export.save(torch.export.export(net, inputs), "net.pt2")

A factory takes no arguments (or only ones with defaults; `num_classes` is passed on) and returns a module, or the module
and its example inputs: a tensor, a tuple of tensors, or a dictionary by the names of its forward's parameters.

Naming a file runs it: it is the user's own code. A `.pt2` file holds a graph and weights, and its pickled parts are read
with weights_only=True here; torch still evaluates the symbolic shapes in it, so take such files only from people you trust.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import logging
import os
import re
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edgedeploy.core.errors import MissingExtra, ModelInvalid, UnknownName, UsageError
from edgedeploy.core.spec import Preprocessing

from .user_code import describe_exception, running_users_code, user_line_of

if TYPE_CHECKING:
    import torch
    from torch import nn

LIBRARIES = ("timm", "torchvision")
PROGRAM = ".pt2"


@dataclass
class UserModel:
    """What a source gave.

    Attributes:
        name: safe as a folder's name.
        module: as it came, not yet in eval mode.
        examples: inputs by name, or by "" and a number where they have no names; empty where the source tells none.
        keywords: the inputs are passed by name.
        random: nobody trained these weights.
        weights: what the manifest says about them.
    """

    name: str
    module: nn.Module
    examples: dict[str, torch.Tensor] = field(default_factory=dict)
    keywords: bool = False
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    task: str = ""
    random: bool = False
    weights: dict[str, Any] = field(default_factory=dict)
    classifier: str = ""


def is_users(model: str) -> bool:
    """Whether this names a network outside the zoo."""
    return ":" in model or model.endswith((PROGRAM, ".py")) or "/" in model


def load(model: str, *, num_classes: int | None, official: bool, seed: int) -> UserModel:
    """Finds and builds what `model` names. Raises ModelInvalid, MissingExtra, UnknownName, UsageError."""
    if model.endswith(PROGRAM):
        if num_classes is not None or official:
            raise UsageError("an exported program holds its own weights and classes", hint=f"{model} alone")
        return _from_program(Path(model))
    source, separator, name = model.rpartition(":")
    if not separator or not source or not name:
        raise UsageError(f"'{model}' does not say what in it makes the network", hint=f"{model.rstrip(':')}:FACTORY")
    if source in LIBRARIES:
        return _from_library(source, name, num_classes, official, seed)
    if official:
        raise UsageError(f"{model} has no official weights that are known here", hint="--weights FILE or URL")
    return _from_factory(model, source, name, num_classes, seed)


def safe_name(*parts: str) -> str:
    """A folder name of letters, digits, dots and dashes."""
    text = "-".join(re.sub(r"[^A-Za-z0-9.]+", "-", part).strip("-.") for part in parts)
    return text.lower() or "network"


# factories


def _from_factory(model: str, source: str, name: str, num_classes: int | None, seed: int) -> UserModel:
    home, label = _import(model, source)
    with running_users_code(Path.cwd()):
        held = _attribute(home, name, model)
        made = _call(held, model, num_classes, seed)
    module, examples, keywords = _split(made, model)
    return UserModel(safe_name(label, name), module, examples, keywords, weights={"kind": "factory", "factory": model})


def _import(model: str, source: str) -> tuple[ModuleType, str]:
    """The Python module, and a short name for it."""
    path = Path(source)
    is_file = source.endswith(".py") or "/" in source
    if is_file and not path.is_file():
        near = sorted(p.name for p in path.parent.glob("*.py"))[:5] if path.parent.is_dir() else []
        raise ModelInvalid(f"there is no file {path}", details=[f"in {path.parent}: {', '.join(near)}"] if near else [])
    try:
        with running_users_code(path.parent if is_file else Path.cwd()):
            return (_run_file(path), path.stem) if is_file else (importlib.import_module(source), source)
    except ModuleNotFoundError as error:
        top = source.partition(".")[0]
        if not is_file and error.name and (error.name == source or source.startswith(f"{error.name}.")):
            raise ModelInvalid(
                f"there is no Python module {error.name}",
                details=[f"looked for it in {Path.cwd()} and where Python looks for packages"],
                hint=f"edgedeploy models (for the zoo's names), or {top}.py:FACTORY for a file",
            ) from None
        raise ModelInvalid(
            f"{source} imports '{error.name}', which is not installed here",
            details=user_line_of(error),
            hint=f"pip install {error.name}" if error.name else None,
        ) from None
    except (Exception, SystemExit) as error:
        raise ModelInvalid(
            f"{source} cannot be imported for {model}",
            details=[*user_line_of(error), describe_exception(error)],
            hint="--debug shows all",
        ) from error


def _run_file(path: Path) -> ModuleType:
    name = f"_edgedeploy_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look a class's module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _attribute(home: ModuleType, path: str, model: str) -> Any:
    held: Any = home
    for part in path.split("."):
        if not hasattr(held, part):
            known = [key for key, value in vars(held).items() if callable(value) and not key.startswith("_")]
            raise UnknownName("factory", part, known, hint=f"a function or class of {model.rpartition(':')[0]}")
        held = getattr(held, part)
    return held


def _call(held: Any, model: str, num_classes: int | None, seed: int) -> Any:
    import torch
    from torch import nn

    if isinstance(held, nn.Module):
        if num_classes is not None:
            raise UsageError(f"{model} is a ready module: its classes cannot be chosen", hint="a factory can take them")
        return held
    if not callable(held):
        raise ModelInvalid(f"{model} is a {type(held).__name__}", hint="a function that returns a torch.nn.Module")
    arguments = _arguments(held, model, num_classes)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # the same random weights at every call
            return held(**arguments)
    except (Exception, SystemExit) as error:
        raise ModelInvalid(
            f"{model} could not be built",
            details=[*user_line_of(error), describe_exception(error)],
            hint="--debug shows all",
        ) from error


def _arguments(held: Callable[..., Any], model: str, num_classes: int | None) -> dict[str, Any]:
    parameters: Mapping[str, inspect.Parameter] = {}
    with contextlib.suppress(ValueError):  # some built-in callables have no signature
        parameters = inspect.signature(held).parameters
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    arguments = {}
    if num_classes is not None:
        if "num_classes" not in parameters and not anything:
            raise UsageError(
                f"{model} takes no num_classes", hint="leave --num-classes out, or let the factory take it"
            )
        arguments["num_classes"] = num_classes
    needed = [
        name
        for name, p in parameters.items()
        if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and name not in arguments
    ]
    if needed:
        raise ModelInvalid(
            f"{model} is called without arguments, but wants {', '.join(needed)}",
            hint="give them defaults, or write a function of no arguments that calls it",
        )
    return arguments


def _split(made: Any, model: str) -> tuple[nn.Module, dict[str, torch.Tensor], bool]:
    """A factory's answer as module, examples by name, and whether the names are needed to pass them."""
    import torch
    from torch import nn

    module, given = made if isinstance(made, tuple) and len(made) == 2 else (made, ())
    if not isinstance(module, nn.Module):
        raise ModelInvalid(
            f"{model} gave a {type(made).__name__}, not a torch.nn.Module",
            hint="return the module, or (module, example_inputs)",
        )
    if isinstance(given, Mapping):
        examples, keywords = {str(name): tensor for name, tensor in given.items()}, True
    else:
        inputs = [given] if isinstance(given, torch.Tensor) else list(given)
        examples, keywords = dict(zip(_parameter_names(module, len(inputs)), inputs, strict=True)), False
    wrong = [name for name, tensor in examples.items() if not isinstance(tensor, torch.Tensor)]
    if wrong:
        raise ModelInvalid(f"{model}: the example input {wrong[0]} is no tensor", hint="example inputs are tensors")
    return module, examples, keywords


def _parameter_names(module: nn.Module, count: int) -> list[str]:
    """Names of the first `count` parameters of forward, or numbered ones."""
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        parameters = []  # type: ignore[assignment]
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return positional[:count] if len(positional) >= count else [f"input_{i}" for i in range(count)]


# libraries


def _from_library(library: str, name: str, num_classes: int | None, official: bool, seed: int) -> UserModel:
    import torch

    builders = {"timm": _from_timm, "torchvision": _from_torchvision}
    try:
        importlib.import_module(library)
    except ImportError:
        raise MissingExtra(library, library, f"{library}:{name}") from None
    except Exception as error:  # a torchvision that was built for another torch raises RuntimeError
        raise ModelInvalid(
            f"{library} is installed but does not load",
            details=[describe_exception(error)],
            hint=f"install the torchvision that was built for torch {torch.__version__}",
        ) from error
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made = builders[library](name, num_classes, official)
    except UsageError:
        raise
    except OSError as error:  # URLError, and what the hub's client raises without a network
        raise ModelInvalid(
            f"the weights of {library}:{name} cannot be downloaded",
            details=[describe_exception(error)],
            hint="without --weights official the weights are random; or --weights FILE",
        ) from error
    except Exception as error:
        raise ModelInvalid(f"{library}:{name} could not be built", details=[describe_exception(error)]) from error
    kind = {"kind": "pretrained", "library": library} if official else {"kind": "random", "seed": seed}
    made.random = not official
    made.weights = {**kind, "num_classes": num_classes, **made.weights}
    return made


def _from_timm(name: str, num_classes: int | None, official: bool) -> UserModel:
    import torch

    timm: Any = importlib.import_module("timm")
    if not timm.is_model(name):
        raise UnknownName(
            "timm model", name, timm.list_models(), hint="python -c 'import timm; print(timm.list_models())'"
        )
    more = {} if num_classes is None else {"num_classes": num_classes}
    module = timm.create_model(name, pretrained=official, exportable=True, **more)
    config = module.pretrained_cfg
    preprocessing = Preprocessing(
        tuple(config["mean"]),
        tuple(config["std"]),
        crop_pct=config.get("crop_pct") or 1.0,
        interpolation=config.get("interpolation") if config.get("interpolation") == "bicubic" else "bilinear",
    )
    example = torch.zeros(1, *config["input_size"])
    classifier = config.get("classifier", "")
    return UserModel(
        safe_name("timm", name), module, {"image": example}, preprocessing=preprocessing, task="classification",
        classifier=classifier if isinstance(classifier, str) else "",
    )  # fmt: skip


def _from_torchvision(name: str, num_classes: int | None, official: bool) -> UserModel:
    import torch

    models: Any = importlib.import_module("torchvision.models")
    if name not in models.list_models():
        raise UnknownName(
            "torchvision model", name, models.list_models(), hint="torchvision.models.list_models() names them"
        )
    default = models.get_model_weights(name).DEFAULT
    more = {} if num_classes is None else {"num_classes": num_classes}
    module = models.get_model(name, weights=default if official else None, **more)
    # the attributes of torchvision's ImageClassification preset; other tasks' presets lack some
    preset = default.transforms()
    (side,), (resize,) = getattr(preset, "crop_size", [224]), getattr(preset, "resize_size", [224])
    preprocessing = Preprocessing(
        tuple(getattr(preset, "mean", Preprocessing.mean)),
        tuple(getattr(preset, "std", Preprocessing.std)),
        crop_pct=side / resize,
        interpolation="bicubic" if "bicubic" in str(getattr(preset, "interpolation", "")).lower() else "bilinear",
    )
    names = [n for n, layer in module.named_modules() if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d)]
    return UserModel(
        safe_name("torchvision", name), module, {"image": torch.zeros(1, 3, side, side)},
        preprocessing=preprocessing, task="classification" if hasattr(preset, "crop_size") else "", classifier=names[-1],
    )  # fmt: skip


# exported programs


def _from_program(path: Path) -> UserModel:
    import torch

    from edgedeploy.core.storage.files import sha256_of
    from edgedeploy.models.rewrites.graph import unlifted

    if not path.is_file():
        raise ModelInvalid(f"there is no file {path}")
    hint = f"torch.export.save(torch.export.export(net.eval(), inputs), {path.name!r}) with torch {torch.__version__}"
    if not zipfile.is_zipfile(path):
        raise ModelInvalid(f"{path} is no exported program", details=["it is no zip archive"], hint=hint)
    logger = logging.getLogger("torch.export")
    try:
        logger.disabled = True  # it prints its traceback before it raises
        with _only_weights():
            program = torch.export.load(path)
    except Exception as error:  # torch raises many kinds for a damaged or newer file
        raise ModelInvalid(f"{path} does not load", details=[describe_exception(error)], hint=hint) from error
    finally:
        logger.disabled = False
    _refuse_training_mode(program, path)
    examples, keywords = _program_examples(program)
    weights = {"kind": "program", "file": str(path), "sha256": sha256_of(path)}
    return UserModel(safe_name(path.stem, "pt2"), unlifted(program), examples, keywords, weights=weights)


@contextlib.contextmanager
def _only_weights() -> Iterator[None]:
    """torch.export.load falls back to unpickling anything; this switch of torch's own forbids it."""
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _refuse_training_mode(program: torch.export.ExportedProgram, path: Path) -> None:
    """Dropout and batch norm are fixed in a program as they were when it was exported."""
    for node in program.graph.nodes:
        name = str(node.target)
        trains = {"aten.dropout.default": 2, "aten.batch_norm.default": 5}.get(name)
        if trains is not None and len(node.args) > trains and node.args[trains] is True:
            raise ModelInvalid(
                f"{path} was exported in training mode",
                details=[f"{name.rsplit('.', 1)[0]} at {node.name} trains"],
                hint="call net.eval() before torch.export.export",
            )


def _program_examples(program: torch.export.ExportedProgram) -> tuple[dict[str, torch.Tensor], bool]:
    """The inputs that the program was exported with, or zeros of their shapes."""
    import torch

    inputs = program.example_inputs
    if inputs is not None:
        args, kwargs = inputs
        if kwargs and not args and all(isinstance(value, torch.Tensor) for value in kwargs.values()):
            return dict(kwargs), True
        if not kwargs and all(isinstance(value, torch.Tensor) for value in args):
            names = program.graph_signature.user_inputs
            return dict(zip(map(str, names), args, strict=True)), False
        raise ModelInvalid(
            "the program takes inputs that are no plain tensors",
            hint="export a module whose forward takes tensors, all by position or all by name",
        )
    metas = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    wanted = {str(name): metas[str(name)] for name in program.graph_signature.user_inputs}
    return {
        name: torch.zeros([int(side) for side in fake.shape], dtype=fake.dtype) for name, fake in wanted.items()
    }, False
