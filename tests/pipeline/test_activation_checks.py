"""What a network's own activations say about calibration images that were prepared wrongly, and about odd layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from edgedeploy.core.provenance import WeightsInfo
from edgedeploy.core.spec import Preprocessing, TensorSpec
from edgedeploy.data.photographs import calibration_from_photographs
from edgedeploy.models.loading import Network
from edgedeploy.models.loading.random_weights import estimate_norms
from edgedeploy.pipeline.export import ExportOptions, parse_targets
from edgedeploy.pipeline.export.activation_checks import layer_warnings, range_warnings
from edgedeploy.pipeline.export.calibration_check import check_calibration
from edgedeploy.pipeline.export.stages import calibrate
from tests.reporters import NoteReporter

SIZE = (64, 64)
PREPROCESSING = Preprocessing()
Array = np.ndarray


def photographs(seed: int = 0) -> list[Array]:
    return list(calibration_from_photographs(SIZE, PREPROCESSING, 16, seed))


def trained(act: nn.Module | None = None) -> Network:
    """A network whose norms hold the statistics of photographs; its first layer looks at single colours."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 12, 3, stride=2, bias=False), nn.BatchNorm2d(12), act or nn.ReLU6(), nn.Conv2d(12, 4, 1)
    )
    with torch.no_grad():
        stem = module[0].weight
        assert isinstance(stem, torch.Tensor)
        stem *= torch.eye(3).repeat(4, 1)[..., None, None]
    estimate_norms(module, torch.from_numpy(np.concatenate(photographs(seed=1))))
    spec = TensorSpec("image", (1, 3, *SIZE), layout="NCHW")
    return Network("small", module.eval(), (spec,), PREPROCESSING, "", WeightsInfo("checkpoint"), {})


def layer(network: Network, index: int) -> Any:
    """One of the small network's layers."""
    assert isinstance(network.module, nn.Sequential)
    return network.module[index]


def plain(image: Array) -> Array:
    mean, std = (np.array(values, np.float32).reshape(1, 3, 1, 1) for values in (PREPROCESSING.mean, PREPROCESSING.std))
    return image * std + mean


def normalised(image: Array) -> Array:
    mean, std = (np.array(values, np.float32).reshape(1, 3, 1, 1) for values in (PREPROCESSING.mean, PREPROCESSING.std))
    return np.ascontiguousarray((image - mean) / std, dtype=np.float32)


def test_images_like_those_of_the_training_have_no_warning() -> None:
    network = trained()
    assert range_warnings(network, photographs()) == []
    assert layer_warnings(network, photographs()) == []


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda image: normalised(np.ascontiguousarray(plain(image)[:, ::-1])), "red and blue exchanged"),
        (lambda image: normalised(plain(image) / 255), "values from 0 to 255|deviations from the statistics"),
        (lambda image: normalised(plain(image) * 255), "deviations from the statistics|better"),
    ],
)
def test_images_that_were_prepared_otherwise_are_noticed(spoil: Callable[[Array], Array], named: str) -> None:
    (found,) = range_warnings(trained(), [spoil(image) for image in photographs()])
    assert any(name in found for name in named.split("|"))
    assert "of 1 " in found  # the first norm's path


def test_norms_that_were_never_trained_say_nothing() -> None:
    network = trained()
    layer(network, 1).reset_running_stats()
    assert range_warnings(network, photographs()) == []


def test_a_channel_that_is_a_thousand_times_the_others_is_named() -> None:
    network = trained()
    with torch.no_grad():
        layer(network, 3).weight[2] *= 1000
    (found,) = layer_warnings(network, photographs())
    assert found.startswith("one channel takes the int8 range from the others: channel 2 of 3 (")


def test_channels_that_never_change_are_named() -> None:
    network = trained()
    with torch.no_grad():
        layer(network, 3).weight[:2] = 0
    assert any("the same for every image: 3 (50%)" in found for found in layer_warnings(network, photographs()))


def test_gates_that_saturate_are_named() -> None:
    network = trained(nn.Sigmoid())
    with torch.no_grad():
        layer(network, 1).bias += 20
    assert any("at the ends of their range: 2 (100%)" in found for found in layer_warnings(network, photographs()))


def test_warnings_are_reported_and_kept(tmp_path: Path) -> None:
    """Twelve photographs in a folder, whose red and blue are exchanged."""
    for index, image in enumerate(calibration_from_photographs(SIZE, Preprocessing((0, 0, 0), (1, 1, 1)), 12)):
        pixels = np.rint(255 * image[0, ::-1].transpose(1, 2, 0)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
    reporter = NoteReporter()
    options, targets = ExportOptions(calib=tmp_path), parse_targets("onnx-int8")
    network = trained()
    found = check_calibration(network, calibrate(network, targets, options, reporter), reporter)
    few, exchanged = found.warnings
    assert few.startswith("12 images are few")
    assert "red and blue exchanged" in exchanged
    assert [note for note in reporter.notes if note.startswith("calibration: ")] == [
        f"calibration: {warning}" for warning in found.warnings
    ]


def test_an_activation_that_serves_layers_of_other_widths_is_watched_at_each() -> None:
    act = nn.ReLU6()
    network = trained(act)
    assert isinstance(network.module, nn.Sequential)
    network.module.append(act)
    assert layer_warnings(network, photographs()) == []
