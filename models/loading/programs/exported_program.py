"""Networks from a `.pt2` file: `torch.export.save(torch.export.export(net, inputs), "net.pt2")`.

A `.pt2` file holds a graph and weights. Its pickled parts are read with weights_only=True here, and `program_check` refuses
what torch would run as code. Loading untrusted files with a library as large as torch stays a risk all the same.
"""

from __future__ import annotations

import contextlib
import logging
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgedeploy.core.errors import ModelInvalid, UsageError
from edgedeploy.core.provenance import WeightsInfo
from edgedeploy.models.loading.names import ModelName, safe_name
from edgedeploy.models.loading.user_code import describe_exception
from edgedeploy.models.loading.user_network import UserNetwork

from .program_check import check_program

if TYPE_CHECKING:
    import torch

# position of the flag that is True where the operator was captured in training mode
TRAINING_FLAGS = {"aten.dropout.default": 2, "aten.batch_norm.default": 5}


def from_program(name: ModelName, *, num_classes: int | None) -> UserNetwork:
    """Loads an exported program. Raises ModelInvalid, UsageError."""
    import torch

    from edgedeploy.core.storage.files import sha256_of
    from edgedeploy.models.rewrites.graph import unlifted

    if num_classes is not None:
        raise UsageError("an exported program holds its own weights and classes", hint=f"{name.text} alone")
    path = Path(name.source)
    if not path.is_file():
        raise ModelInvalid(f"there is no file {path}")
    hint = f"torch.export.save(torch.export.export(net.eval(), inputs), {path.name!r}) with torch {torch.__version__}"
    if not zipfile.is_zipfile(path):
        raise ModelInvalid(f"{path} is no exported program", details=["it is no zip archive"], hint=hint)
    logger = logging.getLogger("torch.export")
    try:
        check_program(path)
        logger.disabled = True  # it prints its traceback before it raises
        with _weights_only():
            program = torch.export.load(path)
    except ModelInvalid:
        raise
    except Exception as error:  # torch raises many kinds for a damaged or newer file
        raise ModelInvalid(f"{path} does not load", details=[describe_exception(error)], hint=hint) from error
    finally:
        logger.disabled = False
    _refuse_training_mode(program, path)
    examples, by_position = _examples(program)
    weights = WeightsInfo("program", sha256=sha256_of(path), file=str(path))
    by_name = by_position < len(examples)
    return UserNetwork(
        safe_name(path.stem, "pt2"),
        unlifted(program),
        weights,
        examples,
        by_name,
        by_position if by_name else 0,
        file=path,
    )


@contextlib.contextmanager
def _weights_only() -> Iterator[None]:
    """Sets the variable that keeps torch.export.load from unpickling arbitrary objects."""
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
        operator = str(node.target)
        flag = TRAINING_FLAGS.get(operator)
        if flag is not None and len(node.args) > flag and node.args[flag] is True:
            raise ModelInvalid(
                f"{path} was exported in training mode",
                details=[f"{operator.rsplit('.', 1)[0]} at {node.name} trains"],
                hint="call net.eval() before torch.export.export",
            )


def _examples(program: torch.export.ExportedProgram) -> tuple[dict[str, torch.Tensor], int]:
    """The inputs that the program was exported with, or zeros of their shapes, and how many are passed by position."""
    import torch

    inputs = program.example_inputs
    if inputs is not None:
        args, kwargs = inputs
        if all(isinstance(value, torch.Tensor) for value in (*args, *kwargs.values())):
            names = map(str, program.graph_signature.user_inputs)  # those by position come first
            return {**dict(zip(names, args, strict=False)), **kwargs}, len(args)
        raise ModelInvalid(
            "the program takes inputs that are no plain tensors",
            hint="export a module whose forward takes tensors, not lists or dictionaries of them",
        )
    values = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    taken = {str(name): values[str(name)] for name in program.graph_signature.user_inputs}
    zeros = {name: torch.zeros([int(side) for side in v.shape], dtype=v.dtype) for name, v in taken.items()}
    return zeros, len(zeros)
