"""What a recipe asks of a backend: its quantized formats, and the rule of each operator.

All exporters read recipes through these functions, so that they refuse the same recipes in the same words.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from enum import Enum

from edgedeploy.core.backends import BACKENDS, Backend
from edgedeploy.core.errors import RecipeInvalid
from edgedeploy.core.recipe import OPERATOR_KINDS, NumberFormat, Observer, QuantRecipe, RecipeRule, operator_kind

from .regions import Operator, RegionTypes, find_regions
from .regions.operator import producers_of, readers_of


@dataclass(frozen=True)
class Quantization:
    """The quantized part of a recipe; all other operators are float32.

    Attributes:
        formats: of the quantized operators, that of the first rule first.
        observers: how ranges of activations are taken, likewise; of no meaning where no format needs ranges.
    """

    formats: tuple[NumberFormat, ...]
    observers: tuple[Observer, ...]

    @property
    def format(self) -> NumberFormat:
        """Of the first quantized rule."""
        return self.formats[0]

    @property
    def is_static(self) -> bool:
        """Whether any format needs ranges."""
        return any(format.is_static for format in self.formats)


@dataclass(frozen=True)
class Assignment:
    """A recipe, applied to one graph.

    Attributes:
        rules: the rule of each operator by its key; operators in regions first, then in the graph's order.
        unmatched: one line for each rule that is about no operator of this graph.
    """

    rules: Mapping[Hashable, RecipeRule]
    unmatched: tuple[str, ...]

    @property
    def in_float(self) -> list[Hashable]:
        """Keys of the operators that stay in float32."""
        return [key for key, rule in self.rules.items() if rule.format is NumberFormat.FLOAT32]


def quantization_of(recipe: QuantRecipe, backend: Backend) -> Quantization | None:
    """The quantization that a recipe asks for; None for a recipe that is float32 throughout.

    Raises RecipeInvalid for a format that the backend does not have, and for more than one beside float32 where a file
    holds no more.
    """
    missing = [format for format in recipe.formats if format not in backend.formats]
    if missing:
        raise RecipeInvalid(
            f"recipe {recipe} asks for the number format {_names(missing)}, which backend {backend} does not have",
            details=[f"{backend.title} has: {_names(backend.formats)}", *map(_who_has, missing)],
            hint=_way_out(missing, backend),
        )
    quantized = [rule for rule in recipe.rules if rule.format is not NumberFormat.FLOAT32]
    if not quantized:
        return None
    formats = tuple(dict.fromkeys(rule.format for rule in quantized))
    if len(formats) > 1 and not backend.mixes_formats:
        raise RecipeInvalid(
            f"recipe {recipe} mixes {_names(formats)}",
            details=[f"backend {backend} writes float32 and one other number format into a file"],
            hint=f"{formats[0].value} beside float32; backends that mix: {_names_of_mixing()}",
        )
    observers = tuple(dict.fromkeys(rule.observer for rule in quantized if rule.format.is_static))
    return Quantization(formats, observers)


def assign(operators: Sequence[Operator], recipe: QuantRecipe, types: RegionTypes) -> Assignment:
    """The rule of each operator.

    Args:
        operators: the graph, in an order in which it can run.
    """
    regions = find_regions(operators, types)
    by_key = {op.key: op for op in operators}
    rules = {
        key: recipe.rule_of(by_key[key].type, by_key[key].module, regions.get(key))
        for key in dict.fromkeys([*regions, *by_key])
    }
    for key in _pads_between_float(operators, types.pads, rules):
        rules[key] = RecipeRule(NumberFormat.FLOAT32)
    unmatched = [
        _unmatched(rule, operators)
        for rule in recipe.rules
        if (rule.scope.module or rule.scope.operator)
        and not any(rule.scope.matches(op.type, op.module, regions.get(op.key)) for op in operators)
    ]
    return Assignment(rules, tuple(unmatched))


def _pads_between_float(
    operators: Sequence[Operator], pads: Sequence[str], rules: Mapping[Hashable, RecipeRule]
) -> Iterator[Hashable]:
    """Pads that read a float value and that float operators read: in int8 their values would be rounded for nothing.

    Converters merge pads with what is beside them, so that a rule about the module of a layer may not reach its pad.
    """
    producers, readers = producers_of(operators), readers_of(operators)
    for op in operators:
        if op.type in pads and rules[op.key].format.is_static:
            writer = producers.get(op.inputs[0])
            around = [
                *([writer] if writer else []),
                *(reader for value in op.outputs for reader in readers.get(value, ())),
            ]
            if all(rules[other.key].format is NumberFormat.FLOAT32 for other in around):
                yield op.key


def range_rules(operators: Sequence[Operator], assignment: Assignment) -> dict[Hashable, RecipeRule]:
    """The rule of each value whose range is fixed: of the operator that writes it, or of a static one that reads it.

    A value that a float operator gives is quantized where an operator with a static format reads it. What a softmax gives
    is not clipped: the few large ones among attention's weights decide what it gives.
    """
    written: dict[Hashable, RecipeRule] = {}
    read: dict[Hashable, RecipeRule] = {}
    for op in operators:
        rule = assignment.rules[op.key]
        written.update(dict.fromkeys(op.outputs, rule))
        if rule.format.is_static:
            for value in op.inputs:
                read.setdefault(value, rule)
    found = {value: rule if rule.format.is_static else read.get(value) for value, rule in written.items()}
    ranges = {value: rule for value, rule in found.items() if rule is not None}
    of_softmaxes = {value for op in operators if operator_kind(op.type) == "softmax" for value in op.outputs}
    return {
        value: replace(rule, observer=Observer.MIN_MAX) if value in of_softmaxes else rule
        for value, rule in ranges.items()
    }


def _unmatched(rule: RecipeRule, operators: Sequence[Operator]) -> str:
    """That a rule is about no operator, and the nearest names that there are."""
    near: list[str] = []
    if rule.scope.module:
        paths = {
            ".".join(parts[:n])
            for op in operators
            for parts in [op.module.split(".")]
            for n in range(1, 1 + len(parts))
        }
        near += get_close_matches(rule.scope.module, sorted(paths), n=3, cutoff=0.6)
    if rule.scope.operator:
        near += get_close_matches(
            rule.scope.operator, sorted({op.type for op in operators} | set(OPERATOR_KINDS)), n=3, cutoff=0.6
        )
    question = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"the rule {rule.format.value} for {rule.scope} matches no operator of this network{question}"


def _who_has(format: NumberFormat) -> str:
    having = [backend.name for backend in BACKENDS if format in backend.formats]
    return f"{format.value}: backends {', '.join(having)} have it"


def _way_out(missing: Sequence[NumberFormat], backend: Backend) -> str:
    if NumberFormat.STATIC_INT16_ACTIVATIONS in missing or NumberFormat.DYNAMIC_INT8 in missing:
        return f'format = "float32" for what int8 hurts on {backend}, or a tflite target'
    return "another target: `edgedeploy targets` lists them"


def _names_of_mixing() -> str:
    return ", ".join(backend.name for backend in BACKENDS if backend.mixes_formats)


def _names(items: Iterable[Enum]) -> str:
    return ", ".join(sorted({str(item.value) for item in items}))
