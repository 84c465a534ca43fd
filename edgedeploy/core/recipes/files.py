"""Recipes as TOML.

    name = "mine"                 # without one: the file's name
    base = "static_wi8_ai8"       # starts with that recipe's rules
    format = "static_int8"        # of everything that no rule is about; beside a base: instead of the base's
    observer = "min_max"          # of everything that no rule is about
    prepare = ["equalize_channels", "correct_bias"]
    float_outputs = true          # logits are not rounded; without it: as the base says
    correct_outputs = true        # the mean error of float logits goes into their bias; without it: as the base says
    range_margin = 0.02           # ranges reach further than the calibration's by this share; without it: as the base says
    min_layer_sqnr_db = 36        # layers whose int8 weights alone leave the output less stay in float32; 0: none do
    exclude = ["backbone.stages.3", "head"]   # modules that stay in float32

    [[rules]]                     # the last one that matches an operator decides
    module = "neck.*"             # each of module, operator and region may be left out
    operator = "softmax"
    format = "float32"

The rules stand in the order base, rules, exclude.
"""

from __future__ import annotations

import dataclasses
import json
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from edgedeploy.core.errors import RecipeInvalid, UnknownName
from edgedeploy.core.recipe import NumberFormat, Observer, Preparation, QuantRecipe, RecipeRule, Region, Scope
from edgedeploy.core.storage.json_records import RecordInvalid, convert

E = TypeVar("E", bound=Enum)


@dataclass(frozen=True)
class _Rule:
    module: str = ""
    operator: str = ""
    region: str = ""
    format: str = ""
    observer: str = ""


@dataclass(frozen=True)
class _File:
    name: str = ""
    base: str = ""
    format: str = ""
    observer: str = ""
    prepare: tuple[str, ...] = ()
    float_outputs: bool | None = None
    correct_outputs: bool | None = None
    range_margin: float | None = None
    min_layer_sqnr_db: float | None = None
    exclude: tuple[str, ...] = ()
    rules: tuple[_Rule, ...] = field(default=())


def parse_recipe(text: str, *, where: str, base_of: Callable[[str], QuantRecipe]) -> QuantRecipe:
    """The recipe in a TOML text.

    Args:
        where: the file, for messages; its stem is the name of a recipe without one.
        base_of: gives the recipe that `base` names.

    Raises RecipeInvalid, or UnknownName with the nearest names.
    """
    try:
        parsed = tomllib.loads(text)
        _check_keys(parsed, where)
        file = convert(parsed, _File)
    except (tomllib.TOMLDecodeError, RecordInvalid) as error:
        raise RecipeInvalid(f"{where} is not a recipe: {error}", hint="docs/recipes.md shows the form") from None
    if file.base:
        base = base_of(file.base)
        rules = base.rules
        if file.format:
            of_file = _member(NumberFormat, "number format", file.format, where)
            rules = (dataclasses.replace(rules[0], format=of_file), *rules[1:])
        if file.observer:
            observer = _member(Observer, "observer", file.observer, where)
            rules = tuple(dataclasses.replace(rule, observer=observer) for rule in rules)
    elif file.format:
        base = QuantRecipe("", (_rule(_Rule(format=file.format, observer=file.observer), where),))
        rules = base.rules
    else:
        raise RecipeInvalid(
            f"{where} needs `base` or `format`",
            details=["base: a recipe whose rules it starts with; format: of everything that no rule is about"],
            hint='base = "static_wi8_ai8"',
        )
    least = file.min_layer_sqnr_db
    if least is not None and not 0 <= least < math.inf:
        raise RecipeInvalid(
            f"min_layer_sqnr_db of {where} is {least:g}", hint="dB from 0, which lets all layers be int8"
        )
    margin = file.range_margin
    if margin is not None and not 0 <= margin <= 1:
        raise RecipeInvalid(
            f"range_margin of {where} is {margin:g}", hint="a share of the range from 0 to 1, such as 0.02"
        )
    further = [_rule(rule, where) for rule in file.rules]
    added = tuple(_member(Preparation, "preparation", name, where) for name in file.prepare)
    recipe = QuantRecipe(
        file.name or Path(where).stem,
        (*rules, *further),
        tuple(dict.fromkeys((*base.prepare, *added))),
        base.float_outputs if file.float_outputs is None else file.float_outputs,
        base.correct_outputs if file.correct_outputs is None else file.correct_outputs,
        base.range_margin if margin is None else margin,
        base.min_layer_sqnr_db if least is None else least or None,
    )
    return recipe.excluding(*file.exclude)


def format_recipe(recipe: QuantRecipe) -> str:
    """The recipe as TOML, which `parse_recipe` reads back as the same one."""
    first, *rest = recipe.rules
    lines = [f"name = {json.dumps(recipe.name)}", *_format_lines(first)]
    if recipe.prepare:
        lines.append(f"prepare = {json.dumps([step.value for step in recipe.prepare])}")
    if recipe.float_outputs:
        lines.append("float_outputs = true")
    if recipe.correct_outputs:
        lines.append("correct_outputs = true")
    if recipe.range_margin:
        lines.append(f"range_margin = {recipe.range_margin!r}")
    if recipe.min_layer_sqnr_db is not None:
        lines.append(f"min_layer_sqnr_db = {recipe.min_layer_sqnr_db:g}")
    for rule in rest:
        scope = {"module": rule.scope.module, "operator": rule.scope.operator}
        if rule.scope.region is not None:
            scope["region"] = rule.scope.region.value
        lines += ["", "[[rules]]", *(f"{key} = {json.dumps(value)}" for key, value in scope.items() if value)]
        lines += _format_lines(rule)
    return "\n".join(lines) + "\n"


def _format_lines(rule: RecipeRule) -> list[str]:
    lines = [f'format = "{rule.format.value}"']
    if rule.observer is not Observer.MIN_MAX:
        lines.append(f'observer = "{rule.observer.value}"')
    return lines


def _check_keys(parsed: Mapping[str, Any], where: str) -> None:
    """Raises UnknownName for a key that means nothing here, before msgspec would pass over it."""
    rules = parsed.get("rules", [])
    listed = rules if isinstance(rules, list) else []  # another kind is for the decoder to refuse
    tables = [(parsed, _File), *((rule, _Rule) for rule in listed if isinstance(rule, dict))]
    for table, kind in tables:
        known = [field.name for field in dataclasses.fields(kind)]
        for key in table:
            if key not in known:
                raise UnknownName(f"key in {where}", key, known, hint=f"one of {', '.join(known)}")


def _rule(rule: _Rule, where: str) -> RecipeRule:
    if not rule.format:
        raise RecipeInvalid(f"a rule of {where} has no format", hint=f"one of {_values(NumberFormat)}")
    region = _member(Region, "region", rule.region, where) if rule.region else None
    return RecipeRule(
        _member(NumberFormat, "number format", rule.format, where),
        Scope(rule.module, rule.operator, region),
        _member(Observer, "observer", rule.observer, where) if rule.observer else Observer.MIN_MAX,
    )


def _member(kind: type[E], title: str, value: str, where: str) -> E:
    try:
        return kind(value)
    except ValueError:
        known = [str(member.value) for member in kind]
        raise UnknownName(f"{title} in {where}", value, known, hint=f"one of {', '.join(known)}") from None


def _values(kind: type[Enum]) -> str:
    return ", ".join(str(member.value) for member in kind)
