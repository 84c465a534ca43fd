"""verify --layers takes no tensor for another one that looks like it, and blames no operator for such a pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgedeploy.core.backends import BACKENDS, load_object
from edgedeploy.core.parity import Array
from edgedeploy.core.recipe import QuantRecipe
from edgedeploy.core.recipes import FP32, STATIC_INT8
from edgedeploy.exporters.job import ExportJob, SharedWork
from edgedeploy.models.rewrites import capture
from edgedeploy.pipeline.layers.analysis import Analysis, analyse
from edgedeploy.pipeline.layers.formats import open_steps
from edgedeploy.pipeline.layers.formats.steps import RunStep, Step
from edgedeploy.pipeline.layers.reference import INPUT, Reference, TensorFact, of_network

SIZE = 16
STEP = 1 / 32  # of the int8 tensors of Chain


class SmallSwish(nn.Module):
    """SiLU of small values, x / 2 + x² / 4, which correlates with its own factor s(x), 0.5 + x / 4."""

    def __init__(self) -> None:
        super().__init__()
        first, *others = (nn.Conv2d(size, 8, 3, padding=1, bias=False) for size in (3, 8, 8))
        with torch.no_grad():
            first.weight *= 0.1
        self.convs = nn.ModuleList([first, *others])

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = nn.functional.silu(conv(x))
        return x


class Gated(nn.Module):
    """A hard sigmoid, whose first half LiteRT has in the convolution before it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.gate, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x)
        return self.head(y * nn.functional.hardsigmoid(2 * self.gate(y.mean((2, 3), keepdim=True))))


def exported(network: nn.Module, backend: str, recipe: QuantRecipe, folder: Path) -> Analysis:
    rng = np.random.default_rng(0)
    samples = [rng.standard_normal((1, 3, SIZE, SIZE), dtype=np.float32) for _ in range(5)]
    example = torch.from_numpy(samples[0])
    module = capture(network.eval(), (example,))
    path = folder / BACKENDS[backend].file
    calibration = [(sample,) for sample in samples[1:]] if recipe.needs_calibration else []
    shared = SharedWork(folder, folder / "log")
    job = ExportJob(module, (example,), ("image",), ("map",), recipe, calibration, path, shared)
    modules = [(fact.name, fact.module) for fact in load_object(BACKENDS[backend].exporter)(job).operators]
    return analyse(open_steps(BACKENDS[backend].runtime, path, modules), of_network(module, samples[:1]), [False])


@pytest.mark.parametrize("backend", ["tflite", "onnx"])
def test_the_factor_of_a_silu_is_not_taken_for_the_silu(backend: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    found = exported(SmallSwish(), backend, STATIC_INT8, tmp_path)
    assert [layer.where for layer in found.layers if layer.parts] == []
    pairs = [layer.reference for layer in found.layers if layer.type.lower().startswith(("conv", "mul"))]
    assert pairs == ["conv2d", "silu", "conv2d_1", "silu_1", "conv2d_2", "silu_2"]
    assert (found.without_counterpart, found.not_trusted) == (3, 0)


@pytest.mark.parametrize("recipe", [FP32, STATIC_INT8], ids=str)
def test_a_convolution_with_half_of_a_hard_sigmoid_is_left_out_and_not_blamed(
    recipe: QuantRecipe, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    found = exported(Gated(), "tflite", recipe, tmp_path)
    assert [layer.where for layer in found.layers if layer.parts] == []
    assert [layer.module for layer in found.layers if layer.type == "CONV_2D"] == ["stem", "head"]
    gate = next(layer for layer in found.layers if "hardsigmoid" in layer.reference)
    assert gate.before == ("CONV_2D at gate",)
    assert found.not_trusted == 1


@dataclass
class Chain:
    """A StepFile of int8 in which each operator reads the one before it."""

    kinds: Sequence[tuple[str, Callable[[Array], Array]]]
    inputs: Sequence[str] = ("x",)
    input_shapes: Sequence[tuple[int, ...]] = ((1, 4, 8, 8),)
    steps: Sequence[Step] = field(init=False)
    outputs: Sequence[str] = field(init=False)

    def __post_init__(self) -> None:
        names = ["x", *(str(index) for index in range(len(self.kinds)))]
        self.steps = [
            Step(names[index + 1], kind, f"layer{index}", (names[index],), (names[index + 1],))
            for index, (kind, _) in enumerate(self.kinds)
        ]
        self.outputs = names[-1:]

    def opened(self, step: Step, values: Sequence[Array]) -> RunStep:
        function = self.kinds[int(step.name)][1]
        return lambda given: [np.round(function(given[0]) / STEP) * STEP]

    def limits(self, tensor: str) -> tuple[float, float] | None:
        return -128 * STEP, 127 * STEP


SHIFT = np.array([0.8, -0.6, 0.0, 0.4]).reshape(1, 4, 1, 1)


def chained(*shifts: Array | float) -> Analysis:
    """A convolution, a reshape, a sum and a convolution, beside a file in which each adds a further constant."""
    x = np.random.default_rng(0).standard_normal((1, 4, 8, 8))
    network = [("Conv", lambda v: 0.9 * v[:, ::-1]), ("Reshape", lambda v: v), ("Add", lambda v: v + 0.5)]
    network.append(("Conv", lambda v: 0.7 * v[:, [1, 0, 3, 2]]))
    facts, values = [TensorFact("x", INPUT, "", ())], [x]
    for index, (kind, function) in enumerate(network):
        facts.append(TensorFact(f"t{index}", kind, f"layer{index}", (index,)))
        values.append(function(values[-1]))
    steps = [(kind, lambda v, f=f, shift=shift: f(v) + shift) for (kind, f), shift in zip(network, shifts, strict=True)]
    return analyse(Chain(steps), Reference(tuple(facts), tuple(values)), [False])


def test_a_bias_that_the_next_operator_takes_back_is_no_fault() -> None:
    found = chained(SHIFT, 0, -SHIFT, 0)
    assert [layer.where for layer in found.layers if layer.parts] == []
    assert [layer.reference for layer in found.layers] == ["t2", "t3"]
    assert found.layers[0].before == ("Conv at layer0", "Reshape at layer1")
    assert found.not_trusted == 2


def test_a_bias_that_nothing_takes_back_is_blamed_and_nothing_is_left_out() -> None:
    found = chained(SHIFT, 0, 0, 0)
    assert [layer.where for layer in found.layers if layer.parts] == ["Conv at layer0"]
    assert len(found.layers) == 4
    assert found.not_trusted == 0


def test_a_fault_behind_a_bias_that_is_taken_back_is_blamed() -> None:
    found = chained(SHIFT, 0, -SHIFT, SHIFT)
    assert [layer.where for layer in found.layers if layer.parts] == ["Conv at layer3"]
    assert found.not_trusted == 2
