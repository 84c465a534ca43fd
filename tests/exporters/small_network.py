"""A network of a few convolutions with nested modules, and its export without the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, fx, nn

from edgedeploy.core.backends import BACKENDS, load_object
from edgedeploy.core.recipe import NumberFormat, QuantRecipe, RecipeRule, Scope
from edgedeploy.core.recipes import FP32
from edgedeploy.exporters.job import ExportJob, Lowered, SharedWork
from edgedeploy.models.rewrites import capture

CONVOLUTIONS = {"stem.0", "stages.0.conv", "stages.1.conv", "branches.0.conv", "head"}


class Conv_Block(nn.Module):  # noqa: N801 - with an underscore, which separates class and name in TFLite's tensor names
    """A convolution and a hard swish."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.act = nn.Hardswish()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.conv(x))


class SmallNetwork(nn.Module):
    """Two ModuleLists of one class: TFLite's tensor names tell their members apart by index only."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU())
        self.stages = nn.ModuleList(Conv_Block(8) for _ in range(2))
        self.branches = nn.ModuleList(Conv_Block(8) for _ in range(1))
        self.norm = nn.LayerNorm(8)
        self.head = nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        x = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        for branch in self.branches:
            x = x + branch(x)
        return self.head(x)


def export_job(
    module: fx.GraphModule,
    example: Tensor,
    path: Path,
    recipe: QuantRecipe = FP32,
    calibration: Sequence[Tensor] = (),
    *,
    integer_io: bool = False,
) -> ExportJob:
    """A captured network of one input and one output, for an exporter; its file lies alone in a folder."""
    return ExportJob(
        module=module,
        example_inputs=(example,),
        input_names=("image",),
        output_names=("logits",),
        recipe=recipe,
        calibration=[(sample.numpy(),) for sample in calibration],
        path=path,
        shared=SharedWork(path.parent, path.parent / "log"),
        integer_io=integer_io,
    )


class SmallExports:
    """Exports of one network, SmallNetwork by default; float models are converted once for each backend."""

    def __init__(self, folder: Path, network: nn.Module | None = None) -> None:
        torch.manual_seed(0)
        self.folder = folder
        self.example = torch.randn(1, 3, 16, 16)
        self.module = capture((network or SmallNetwork()).eval(), (self.example,))
        self.shared = SharedWork(folder, folder / "log")

    def lower(self, backend: str, recipe: QuantRecipe = FP32) -> tuple[Lowered, Path]:
        """What the backend's exporter returned, and the file."""
        path = self.folder / f"{recipe}-{BACKENDS[backend].file}"
        rng = np.random.default_rng(0)
        samples = [torch.from_numpy(rng.standard_normal((1, 3, 16, 16), dtype=np.float32)) for _ in range(2)]
        calibration = samples if recipe.needs_calibration else ()
        job = replace(export_job(self.module, self.example, path, recipe, calibration), shared=self.shared)
        return load_object(BACKENDS[backend].exporter)(job), path


def recipe_of(name: str, default: NumberFormat, *rules: tuple[NumberFormat, Scope]) -> QuantRecipe:
    """A recipe with a default format and further rules."""
    return QuantRecipe(name, (RecipeRule(default), *(RecipeRule(format, scope) for format, scope in rules)))


def modules_of(lowered: Lowered, types: Sequence[str]) -> set[str]:
    """Module paths of the operators of these types."""
    return {operator.module for operator in lowered.operators if operator.type in types}
