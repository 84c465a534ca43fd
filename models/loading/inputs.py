"""What a network takes: inputs as a person types them, and inputs as a network's source describes them."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgedeploy.core.errors import UsageError
from edgedeploy.core.spec import TensorSpec

if TYPE_CHECKING:
    import torch
    from torch import nn

MAX_ELEMENTS = 2**28  # a gibibyte of float32
IMAGE = "image"  # the name of an image network's single input
DTYPES = ("float32", "int64", "int32", "int16", "int8", "uint8", "bool")
INPUT = re.compile(r"(?:(?P<name>[A-Za-z_]\w*)=)?(?P<shape>\d+(?:[x×]\d+)*)(?::(?P<dtype>\w+))?")


def parse_input(text: str) -> TensorSpec:
    """The input that `1x3x224x224`, `1x16:int64` or `tokens=1x16:int64` describes. Raises UsageError."""
    match = INPUT.fullmatch(text.strip())
    dtype = (match and match["dtype"]) or "float32"
    if match is None or dtype not in DTYPES:
        raise UsageError(
            f"'{text}' is no input",
            hint=f"1x3x224x224, or NAME=1x16:int64 with a name and one of {', '.join(DTYPES)}",
        )
    shape = tuple(int(side) for side in re.split("[x×]", match["shape"]))
    return TensorSpec(match["name"] or "", shape, dtype)


def parameter_names(module: nn.Module, count: int) -> list[str]:
    """Names of the first `count` parameters of the module's forward, or `input_0`, `input_1`, ... where it has fewer."""
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return positional[:count] if len(positional) >= count else [f"input_{i}" for i in range(count)]


@dataclass(frozen=True)
class Inputs:
    """A network's inputs and, where its source gives some of these shapes, an example of each."""

    specs: tuple[TensorSpec, ...]
    examples: tuple[torch.Tensor, ...] = ()


def inputs_of(
    model: str,
    module: nn.Module,
    examples: Mapping[str, torch.Tensor],
    *,
    typed: Sequence[str] = (),
    size: tuple[int, int] | None = None,
) -> Inputs:
    """What a network of the user takes: as typed after --input, else as its examples are.

    Args:
        model: as the user named it, for errors.
        examples: of its source, by name.
        typed: such as "tokens=1x16:int64", one for each input.
        size: (height, width) in place of the example image's.

    Raises UsageError.
    """
    if typed:
        return _typed_inputs(model, module, examples, typed, size)
    if not examples:
        raise UsageError(
            f"{model} does not describe its inputs",
            hint="--input 1x3x224x224 (once for each input), or a factory that returns (module, example_inputs)",
        )
    specs = tuple(TensorSpec(name, tuple(t.shape), str(t.dtype).removeprefix("torch.")) for name, t in examples.items())
    if size is not None:
        image = specs[0]
        if len(specs) > 1 or len(image.shape) != 4 or image.shape[1] != 3:
            raise UsageError(f"--input-size is for networks that take one RGB image; {model} does not", hint="--input")
        return Inputs((replace(image, shape=(*image.shape[:2], *size)),))
    return Inputs(_checked(model, specs), tuple(examples.values()))


def _typed_inputs(
    model: str,
    module: nn.Module,
    examples: Mapping[str, torch.Tensor],
    typed: Sequence[str],
    size: tuple[int, int] | None,
) -> Inputs:
    parsed = [parse_input(text) for text in typed]
    if size is not None:
        raise UsageError("--input and --input-size cannot be combined", hint="--input alone")
    names = list(examples) if len(examples) == len(parsed) else parameter_names(module, len(parsed))
    specs = tuple(replace(spec, name=spec.name or name) for spec, name in zip(parsed, names, strict=True))
    fitting = [t for t, spec in zip(examples.values(), specs, strict=False) if tuple(t.shape) == spec.shape]
    return Inputs(_checked(model, specs), tuple(fitting) if len(fitting) == len(specs) else ())


def _checked(model: str, specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    for spec in specs:
        if spec.dtype not in DTYPES:
            raise UsageError(
                f"{model}: an input of type {spec.dtype} cannot be exported", hint=f"one of {', '.join(DTYPES)}"
            )
        if not spec.shape or 0 in spec.shape:
            raise UsageError(
                f"{model}: the input '{spec.name}' is empty or has no dimensions", hint="batch first: 1x3x224x224"
            )
        if math.prod(spec.shape) > MAX_ELEMENTS:
            raise UsageError(
                f"{model}: the input '{spec.name}' has {math.prod(spec.shape):,} elements, more than {MAX_ELEMENTS:,}",
                hint="--input gives each side of the input: 1x3x224x224",
            )
    (first, *more) = specs
    if not more and len(first.shape) == 4 and first.shape[1] == 3 and first.dtype == "float32":
        return (replace(first, name=IMAGE, layout="NCHW"),)
    return specs
