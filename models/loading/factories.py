"""Networks from the user's own code: `file.py:factory` and `package.module:factory`.

A factory is called with the arguments that follow its name (`net.py:make?depth=4`); all others need defaults, and
`num_classes` is passed on. It returns a module, or the module and its example inputs: a tensor, a tuple of tensors, or a
dictionary by the names of its forward's parameters. A ready module is taken as it is.

Naming a file runs it: it is the user's own code. It and the modules beside it are loaded under private names, so that they
cannot take the place of other Python modules (see `user_modules`).
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edgedeploy.core.errors import ModelInvalid, UnknownName, UsageError
from edgedeploy.core.provenance import WeightsInfo

from .inputs import parameter_names
from .names import ModelName, safe_name
from .user_code import describe_exception, running_user_code, user_line_of
from .user_modules import UserFolder, public_name
from .user_network import UserNetwork

if TYPE_CHECKING:
    import torch
    from torch import nn


def from_factory(name: ModelName, *, num_classes: int | None, seed: int) -> UserNetwork:
    """Imports the source and calls the factory. Raises ModelInvalid, UnknownName, UsageError."""
    model, path = name.text, Path(name.source)
    is_file = name.source.endswith(".py") or "/" in name.source
    folder = path.parent if is_file else Path.cwd()
    imported = _import(name, path if is_file else None, folder)
    with running_user_code(folder):
        made = _call(_attribute(imported, name), name, num_classes, seed)
    module, examples, by_name = _split(made, model)
    return UserNetwork(
        safe_name(path.stem if is_file else name.source, *name.words),
        module,
        WeightsInfo("factory", factory=model),
        examples,
        by_name,
        code_folder=folder.resolve(),
        file=Path(imported.__file__) if imported.__file__ else None,
    )


def load_function(text: str) -> tuple[Callable[..., Any], Path]:
    """The function of the user's that `file.py:function` or `package.module:function` names, and the folder of its code.

    Naming it runs the file. Raises ModelInvalid, UnknownName, UsageError.
    """
    source, _, attribute = text.rpartition(":")
    if not source or not attribute:
        raise UsageError(f"'{text}' does not name a function", hint="FILE.py:FUNCTION")
    is_file = source.endswith(".py") or "/" in source
    folder = Path(source).parent if is_file else Path.cwd()
    name = ModelName("factory", text, source, attribute)
    function = _attribute(_import(name, Path(source) if is_file else None, folder), name)
    if not callable(function):
        raise ModelInvalid(f"{text} is of type {type(function).__name__}", hint="a function")
    return function, folder.resolve()


def _import(name: ModelName, path: Path | None, folder: Path) -> ModuleType:
    """The Python module of the file `path`, or where that is None the one called `name.source`."""
    source = name.source
    if path is not None and not path.is_file():
        near = sorted(p.name for p in path.parent.glob("*.py"))[:5] if path.parent.is_dir() else []
        raise ModelInvalid(f"there is no file {path}", details=[f"in {path.parent}: {', '.join(near)}"] if near else [])
    try:
        with running_user_code(folder):
            user = UserFolder(folder)
            user.forget_older_versions()
            if path is not None:
                return user.load_file(path)
            return user.load(source) if user.has(source) else importlib.import_module(source)
    except ModuleNotFoundError as error:
        top, missing = source.partition(".")[0], public_name(error.name or "")
        if path is None and missing and (missing == source or source.startswith(f"{missing}.")):
            raise ModelInvalid(
                f"there is no Python module {missing}",
                details=[f"looked for it in {Path.cwd()} and where Python looks for packages"],
                hint=f"edgedeploy models (for the zoo's names), or {top}.py:FACTORY for a file",
            ) from None
        raise ModelInvalid(
            f"{source} imports '{missing}', which is not installed here",
            details=user_line_of(error),
            hint=f"pip install {missing}" if missing == error.name else None,
        ) from None
    except (Exception, SystemExit) as error:
        raise ModelInvalid(
            f"{source} cannot be imported for {name.text}",
            details=[*user_line_of(error), describe_exception(error)],
            hint="--debug shows all",
        ) from error


def _attribute(imported: ModuleType, name: ModelName) -> Any:
    found: Any = imported
    for part in name.attribute.split("."):
        if not hasattr(found, part):
            known = [key for key, value in vars(found).items() if callable(value) and not key.startswith("_")]
            raise UnknownName("factory", part, known, hint=f"a function or class of {name.source}")
        found = getattr(found, part)
    return found


def _call(factory: Any, name: ModelName, num_classes: int | None, seed: int) -> Any:
    import torch
    from torch import nn

    model = name.text
    if isinstance(factory, nn.Module):
        if name.arguments:
            raise UsageError(f"{model} is a ready module: it takes no arguments", hint="a factory can take them")
        if num_classes is not None:
            raise UsageError(f"{model} is a ready module: its classes cannot be chosen", hint="a factory can take them")
        return factory
    if not callable(factory):
        raise ModelInvalid(
            f"{model} is of type {type(factory).__name__}", hint="a function that returns a torch.nn.Module"
        )
    arguments = _arguments(factory, name, num_classes)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # the same random weights at every call
            return factory(**arguments)
    except (Exception, SystemExit) as error:
        raise ModelInvalid(
            f"{model} could not be built",
            details=[*user_line_of(error), describe_exception(error)],
            hint="--debug shows all",
        ) from error


def _arguments(factory: Callable[..., Any], name: ModelName, num_classes: int | None) -> dict[str, Any]:
    model = name.text
    parameters: Mapping[str, inspect.Parameter] = {}
    with contextlib.suppress(ValueError):  # some built-in callables have no signature
        parameters = inspect.signature(factory).parameters
    takes_keywords = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    arguments: dict[str, Any] = dict(name.arguments)
    for key in arguments:
        if key not in parameters and not takes_keywords:
            raise UnknownName(f"argument of {name.attribute}", key, parameters, hint="those that the factory takes")
    if num_classes is not None:
        if "num_classes" in arguments:
            raise UsageError(f"{model} and --num-classes both give the number of classes", hint="one of them")
        if "num_classes" not in parameters and not takes_keywords:
            raise UsageError(
                f"{model} takes no num_classes", hint="leave --num-classes out, or let the factory take it"
            )
        arguments["num_classes"] = num_classes
    required = [
        key
        for key, p in parameters.items()
        if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and key not in arguments
    ]
    if required:
        raise ModelInvalid(
            f"{model} is called without {', '.join(required)}, which it requires",
            hint=f'"{model}{"&" if name.arguments else "?"}{required[0]}=VALUE", or give them defaults',
        )
    return arguments


def _split(made: Any, model: str) -> tuple[nn.Module, dict[str, torch.Tensor], bool]:
    """A factory's result as module, examples by name, and whether they are passed by name."""
    import torch
    from torch import nn

    module, given = made if isinstance(made, tuple) and len(made) == 2 else (made, ())
    if not isinstance(module, nn.Module):
        raise ModelInvalid(
            f"{model} returned an object of type {type(made).__name__}, not a torch.nn.Module",
            hint="return the module, or (module, example_inputs)",
        )
    if isinstance(given, Mapping):
        examples, by_name = {str(name): tensor for name, tensor in given.items()}, True
    else:
        inputs = [given] if isinstance(given, torch.Tensor) else list(given)
        examples, by_name = dict(zip(parameter_names(module, len(inputs)), inputs, strict=True)), False
    wrong = [name for name, tensor in examples.items() if not isinstance(tensor, torch.Tensor)]
    if wrong:
        raise ModelInvalid(f"{model}: the example input {wrong[0]} is no tensor", hint="example inputs are tensors")
    return module, examples, by_name
