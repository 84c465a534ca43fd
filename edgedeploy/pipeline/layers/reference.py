"""What an artifact is compared with: every tensor of a float network for one sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgedeploy.core.parity import Array
from edgedeploy.core.storage.json_records import decode, encode

if TYPE_CHECKING:
    from torch import fx

    from .formats.steps import StepFile

INPUT = "input"


@dataclass(frozen=True)
class TensorFact:
    """A tensor of the float network.

    Attributes:
        type: of the operator that computes it; "input" for an input of the network.
        module: the path of its module in the original network.
        sources: the tensors that it is computed from, by their position in the reference.
    """

    name: str
    type: str
    module: str
    sources: tuple[int, ...]


@dataclass(frozen=True)
class Reference:
    """The tensors of a float network in the order of their computation, and their values for one sample."""

    facts: tuple[TensorFact, ...]
    values: tuple[Array, ...]

    def save(self, folder: Path) -> None:
        """Writes two files into the folder."""
        (folder / "reference.json").write_text(encode(self.facts))
        np.savez(folder / "reference.npz", **{str(index): value for index, value in enumerate(self.values)})  # type: ignore[arg-type]

    @classmethod
    def load(cls, folder: Path) -> Reference:
        """The inverse."""
        facts = decode((folder / "reference.json").read_bytes(), tuple[TensorFact, ...])
        with np.load(folder / "reference.npz", allow_pickle=False) as file:
            return cls(facts, tuple(file[str(index)] for index in range(len(facts))))


def of_network(module: fx.GraphModule, sample: Sequence[Array]) -> Reference:
    """Every tensor of a captured network."""
    import torch
    from torch import fx

    from edgedeploy.exporters.operators.module_paths import module_path

    facts: list[TensorFact] = []
    values: list[Array] = []
    position: dict[fx.Node, tuple[int, ...]] = {}

    class Recorder(fx.Interpreter):
        def run_node(self, n: fx.Node) -> object:
            result = super().run_node(n)
            sources = tuple(dict.fromkeys(index for node in n.all_input_nodes for index in position.get(node, ())))
            position[n] = sources  # what is no tensor, such as a list of tensors, stands for those it is made of
            recorded = n.op == "placeholder" or (n.op == "call_function" and bool(sources))
            if recorded and isinstance(result, torch.Tensor):
                type = INPUT if n.op == "placeholder" else str(n.target)
                position[n] = (len(facts),)
                facts.append(TensorFact(n.name, type, module_path(n), sources))
                values.append(result.detach().numpy().copy())
            return result

    with torch.no_grad():
        Recorder(module).run(*(torch.tensor(array) for array in sample))
    return Reference(tuple(facts), tuple(values))


def of_file(file: StepFile, sample: Sequence[Array]) -> Reference:
    """Every tensor of a float file, run operator by operator in its runtime. Raises what its runtime raises."""
    facts: list[TensorFact] = []
    values: list[Array] = []
    position: dict[str, int] = {}

    def record(tensor: str, fact: TensorFact, value: Array) -> None:
        position[tensor] = len(facts)
        facts.append(fact)
        values.append(value)

    for tensor, value in zip(file.inputs, sample, strict=True):
        record(tensor, TensorFact(tensor, INPUT, "", ()), value)
    for step in file.steps:
        inputs = [values[position[name]] for name in step.inputs]
        sources = tuple(position[name] for name in step.inputs)
        for tensor, value in zip(step.outputs, file.opened(step, inputs)(inputs), strict=True):
            record(tensor, TensorFact(tensor, step.type, step.module, sources), value)
    return Reference(tuple(facts), tuple(values))
