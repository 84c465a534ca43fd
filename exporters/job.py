"""What an exporter gets and gives: module + recipe + calibration in, one file out."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgedeploy.core.errors import MissingExtra
from edgedeploy.core.recipe import QuantRecipe
from edgedeploy.core.spec import TensorSpec

if TYPE_CHECKING:
    import torch

Sample = tuple[NDArray[Any], ...]


@dataclass
class Shared:
    """What several targets of one export have in common, so that it is made once.

    Attributes:
        scratch: a private folder for intermediate files, gone after the export.
        made: intermediate results by name, such as the float model that several quantized ones start from.
        converter_s: seconds spent inside the converters' own calls, by what was called.
        log: the file that takes what converters print.
    """

    scratch: Path
    log: Path
    made: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    converter_s: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def converter(self, name: str) -> Iterator[None]:
        """Around a call into a converter: times it, and sends what it prints to the log instead of the screen."""
        start = time.perf_counter()
        try:
            with quiet(self.log):
                yield
        finally:
            self.converter_s[name] = self.converter_s.get(name, 0.0) + time.perf_counter() - start

    @contextlib.contextmanager
    def importing(self, extra: str, purpose: str) -> Iterator[None]:
        """Around the import of a converter: they print a lot. Raises MissingExtra for what is not installed."""
        try:
            with self.converter(f"import of {extra}"):
                yield
        except ImportError as error:
            raise MissingExtra(extra, error.name or extra, purpose) from error


@dataclass(frozen=True)
class ExportJob:
    """One file to make.

    Attributes:
        module: the rewritten network.
        example_inputs: one input of each shape.
        input_names, output_names: as the artifact shall call them, where its format has names.
        recipe: how numbers are stored and computed.
        calibration: samples to take activation ranges from; empty where the recipe needs none.
        integer_io: int8 recipes only: the artifact's inputs and outputs are int8 too.
        path: where the file goes.
        shared: what other targets of the same export have made.
    """

    module: torch.fx.GraphModule
    example_inputs: tuple[torch.Tensor, ...]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    recipe: QuantRecipe
    calibration: Sequence[Sample]
    integer_io: bool
    path: Path
    shared: Shared


@dataclass(frozen=True)
class Lowered:
    """What an exporter made.

    Attributes:
        inputs, outputs: as the file has them.
        recipe_record: the quantizer's own settings, as JSON.
        facts: what is worth knowing about the file, such as its operators by kind.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    recipe_record: Any = None
    facts: dict[str, Any] = field(default_factory=dict)


class Exporter(Protocol):
    """Writes `job.path`. Raises ExportFailed, or whatever the converter raised; the pipeline explains it."""

    def __call__(self, job: ExportJob) -> Lowered: ...


@contextlib.contextmanager
def quiet(log: Path) -> Iterator[None]:
    """Sends this process's stdout and stderr, of C++ libraries too, to a file for the time of the block."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [(fd, os.dup(fd)) for fd in (1, 2)]
    with log.open("ab") as file:
        try:
            for fd, _ in saved:
                os.dup2(file.fileno(), fd)
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for fd, copy in saved:
                os.dup2(copy, fd)
                os.close(copy)


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
    """Runtimes read raw memory: one float32 block per input."""
    return tuple(np.ascontiguousarray(array) for array in sample)
