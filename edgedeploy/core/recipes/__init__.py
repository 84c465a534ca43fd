"""The built-in recipes, each a file in this folder in the form that files.py reads."""

from __future__ import annotations

from pathlib import Path

from edgedeploy.core.errors import RecipeInvalid
from edgedeploy.core.recipe import QuantRecipe
from edgedeploy.core.registry import Registry
from edgedeploy.core.storage.files import read_limited

from .files import parse_recipe

_NAMES = (
    "fp32",
    "weight_only_wfp16_afp32",
    "dynamic_wi8_afp32",
    "static_wi8_ai8",
    "static_wi8_au8",
    "static_wi8_ai16",
)


def _built_in() -> dict[str, QuantRecipe]:
    """The recipes of this folder; a base stands before those that name it."""
    made: dict[str, QuantRecipe] = {}
    for name in _NAMES:
        text = (Path(__file__).parent / f"{name}.toml").read_text(encoding="utf-8")
        made[name] = parse_recipe(text, where=f"{name}.toml", base_of=made.__getitem__)
    return made


HINT = f"a recipe's file, or one of {', '.join(_NAMES)}"
BUILT_IN: Registry[QuantRecipe] = Registry("recipe", _built_in().values(), name_of=str, hint=HINT)

FP32 = BUILT_IN["fp32"]
WEIGHT_ONLY_FP16 = BUILT_IN["weight_only_wfp16_afp32"]
DYNAMIC_INT8 = BUILT_IN["dynamic_wi8_afp32"]
STATIC_INT8 = BUILT_IN["static_wi8_ai8"]
STATIC_UINT8_ACTIVATIONS = BUILT_IN["static_wi8_au8"]
STATIC_INT16_ACTIVATIONS = BUILT_IN["static_wi8_ai16"]


def load_recipe(name_or_file: str | Path) -> QuantRecipe:
    """A built-in recipe by its name, or the one in a TOML file. Raises UnknownName, RecipeInvalid."""
    text = str(name_or_file)
    path = Path(text)
    if text not in BUILT_IN and (path.suffix == ".toml" or path.is_file()):
        return read_recipe(path)
    return BUILT_IN[text]


def read_recipe(path: Path) -> QuantRecipe:
    """The recipe in a TOML file; without a name of its own it has the file's. Raises RecipeInvalid, UnknownName."""
    try:
        text = read_limited(path).decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise RecipeInvalid(f"{path} cannot be read as a recipe: {reason}", hint=HINT) from None
    return parse_recipe(text, where=str(path), base_of=BUILT_IN.__getitem__)
