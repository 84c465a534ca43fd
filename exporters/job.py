"""An exporter's input and output: module, recipe and calibration in; one file and its description out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from edgedeploy.core.errors import MissingExtra
from edgedeploy.core.provenance import GraphSummary, OperatorFact
from edgedeploy.core.recipe import QuantRecipe, Region, Scope
from edgedeploy.core.spec import TensorSpec

from .process.provenance import provenance_shared
from .process.quiet import quiet

if TYPE_CHECKING:
    import torch

Sample = tuple[NDArray[Any], ...]
T = TypeVar("T")


class FileRefused(Exception):
    """A runtime does not open the file that a converter wrote.

    Attributes:
        operator: the first one that the file is refused for, with its operands' shapes; empty where it is not known.
        module: of that operator; empty for the top level.
    """

    def __init__(self, message: str, operator: str = "", module: str = "") -> None:
        super().__init__(message)
        self.operator, self.module = operator, module


@dataclass
class SharedWork:
    """What several targets of one export have in common, so that it is made once.

    Attributes:
        scratch: a private folder for intermediate files; it is removed after the export.
        log: the file that receives the output of converters.
    """

    scratch: Path
    log: Path
    _made: dict[tuple[str, object], object] = field(default_factory=dict)

    def once(self, name: str, module: torch.nn.Module, make: Callable[[], T]) -> T:
        """An intermediate result for a network, such as the float model that several quantized ones start from.

        `make` runs at the first call with this name and module; later calls return the same object.
        """
        key = (name, module)  # the module itself, not its id: it must stay alive as long as its results
        if key not in self._made:
            self._made[key] = make()
        return cast(T, self._made[key])

    @contextlib.contextmanager
    def quietly(self) -> Iterator[None]:
        """Wraps a call into a converter: what it prints goes to the log."""
        with quiet(self.log), provenance_shared():
            yield

    @contextlib.contextmanager
    def importing(self, extra: str, purpose: str) -> Iterator[None]:
        """Wraps the import of a converter: what it prints goes to the log. Raises MissingExtra for a missing package."""
        try:
            with self.quietly():
                yield
        except ImportError as error:
            raise MissingExtra(extra, error.name or extra, purpose) from error


@dataclass(frozen=True)
class ExportJob:
    """One file to write.

    Attributes:
        module: the rewritten network.
        example_inputs: one input of each shape.
        input_names, output_names: for the artifact, where its format has names.
        recipe: how numbers are stored and computed.
        calibration: samples to take activation ranges from; empty where the recipe needs none.
        path: of the file.
        shared: intermediate results, shared with other targets of the same export.
        integer_io: int8 recipes only: the file's inputs and outputs are int8 too.
        layout: of the module's inputs and outputs of rank 4, "NCHW" or "NHWC".
        expected_outputs: gives the float network's outputs for the first calibration samples, as many as it is asked for;
            None where they are not at hand.
    """

    module: torch.fx.GraphModule
    example_inputs: tuple[torch.Tensor, ...]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    recipe: QuantRecipe
    calibration: Sequence[Sample]
    path: Path
    shared: SharedWork
    integer_io: bool = False
    layout: str = "NCHW"
    expected_outputs: Callable[[int], Sequence[Sample]] | None = None

    @property
    def applied_recipe(self) -> QuantRecipe:
        """The recipe as an exporter follows it: with `integer_io`, arithmetic of inputs and logits are integers too."""
        if not self.integer_io:
            return self.recipe
        of_inputs = replace(self.recipe.rules[0], scope=Scope(region=Region.PREPROCESSING))
        return replace(self.recipe.with_rules(of_inputs), float_outputs=False, correct_outputs=False)


@dataclass(frozen=True)
class Lowered:
    """What an exporter made.

    Attributes:
        inputs, outputs: of the file.
        operators: every operator of the file, those inside delegates too.
        graph: the file's graph in numbers.
        quantizer_settings: the quantizer's own settings, as JSON; None for float32.
        more_files: names of further files that the exporter wrote beside `job.path` and that belong to the artifact.
        warnings: what the user should know, such as a rule of the recipe that is about no operator.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    operators: tuple[OperatorFact, ...]
    graph: GraphSummary
    quantizer_settings: Any = None
    more_files: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Exporter(Protocol):
    """Writes `job.path`. Raises ExportFailed, or whatever the converter raised, which the pipeline explains."""

    def __call__(self, job: ExportJob) -> Lowered: ...


def tensor_specs(arrays: Sequence[torch.Tensor], names: Sequence[str]) -> tuple[TensorSpec, ...]:
    """Specs of float artifacts, which keep torch's order of dimensions."""
    return tuple(
        TensorSpec(name, tuple(a.shape), str(a.dtype).removeprefix("torch."), "NCHW" if a.ndim == 4 else "")
        for name, a in zip(names, arrays, strict=True)
    )


def example_outputs(job: ExportJob) -> tuple[torch.Tensor, ...]:
    """The module's outputs for the example inputs, flat."""
    import torch

    with torch.no_grad():
        return tuple(torch.utils._pytree.tree_leaves(job.module(*job.example_inputs)))


def as_contiguous(sample: Sample) -> Sample:
    """A sample whose arrays are contiguous, because runtimes read raw memory."""
    return tuple(np.ascontiguousarray(array) for array in sample)
