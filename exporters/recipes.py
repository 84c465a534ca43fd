"""What a recipe asks of a backend: the one quantized format, its observer, and the operators that stay in float.

All exporters read recipes through these functions, so that they refuse the same recipes in the same words.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from edgedeploy.core.backends import Backend
from edgedeploy.core.errors import ExportFailed
from edgedeploy.core.recipe import NumberFormat, Observer, QuantRecipe

from .regions import Operator, RegionTypes, find_regions

HINT = "another target: `edgedeploy targets` lists them"


@dataclass(frozen=True)
class Quantization:
    """The quantized part of a recipe; all other operators are float32.

    Attributes:
        format: of the quantized operators.
        observer: how their activations' ranges are taken; of no meaning where the format needs no ranges.
    """

    format: NumberFormat
    observer: Observer


def quantization_of(recipe: QuantRecipe, backend: Backend, observers: Collection[Observer]) -> Quantization | None:
    """The quantization that a recipe asks for; None for a recipe that is float32 throughout.

    Args:
        observers: those that the backend's exporter has.

    Raises ExportFailed for a format or an observer that the backend does not have, and for more than one of either: a
    file holds float32 and one other format.
    """
    _require(recipe, backend, "number format", recipe.formats, backend.formats)
    quantized = [rule for rule in recipe.rules if rule.format is not NumberFormat.FLOAT32]
    if not quantized:
        return None
    first = quantized[0]
    if {rule.format for rule in quantized} != {first.format}:
        raise ExportFailed(
            f"recipe {recipe} mixes {_names(rule.format for rule in quantized)}",
            details=[f"backend {backend} writes float32 and one other number format into a file"],
            hint="one format beside float32",
        )
    if first.format.is_static:  # with ranges of activations
        asked = {rule.observer for rule in quantized}
        _require(recipe, backend, "observer", asked, observers)
        if len(asked) > 1:
            raise ExportFailed(
                f"recipe {recipe} mixes observers {_names(asked)}",
                details=[f"backend {backend} uses one observer for a whole file"],
                hint="one observer in all rules",
            )
    return Quantization(first.format, first.observer)


def float_operators(operators: Sequence[Operator], recipe: QuantRecipe, types: RegionTypes) -> list[Hashable]:
    """Keys of the operators that the recipe leaves in float32.

    Regions first, in the order of `find_regions`, then the other operators in the graph's order.

    Args:
        operators: the graph, in an order in which it can run.
    """
    regions = find_regions(operators, types)
    by_key = {op.key: op for op in operators}
    return [
        key
        for key in dict.fromkeys([*regions, *by_key])
        if recipe.format_of(by_key[key].type, by_key[key].module, regions.get(key)) is NumberFormat.FLOAT32
    ]


def _require(
    recipe: QuantRecipe, backend: Backend, kind: str, asked: Collection[Enum], available: Collection[Enum]
) -> None:
    missing = [item for item in asked if item not in available]
    if missing:
        raise ExportFailed(
            f"recipe {recipe} asks for the {kind} {_names(missing)}, which backend {backend} does not have",
            details=[f"{backend.title} has: {_names(available)}"],
            hint=HINT,
        )


def _names(items: Iterable[Enum]) -> str:
    return ", ".join(sorted({str(item.value) for item in items}))
