"""The networks of the study: the smallest variant of each family and each baseline, quickest to train first."""

from __future__ import annotations

from dataclasses import dataclass

from edgedeploy.core.registry import Registry
from edgedeploy.core.storage.cache import key_of


@dataclass(frozen=True)
class TrainedNetwork:
    """How one network is trained.

    Attributes:
        model: a name of the zoo.
        side: of its square input, in pixels.
        epochs: passes over EPOCH_IMAGES freshly drawn images.
        learning_rate: the largest one of the cycle.
        bfloat16: products are computed in it, which is quicker for large dense layers and slower for small ones.
    """

    model: str
    side: int = 64
    epochs: int = 8
    learning_rate: float = 2e-3
    bfloat16: bool = False

    def __str__(self) -> str:
        return self.model

    @property
    def key(self) -> str:
        """A short hash of what decides the weights; VERSION stands for the code."""
        return key_of([repr(self), str(EPOCH_IMAGES), str(BATCH), str(VERSION)])[:8]


EPOCH_IMAGES = 3_300  # 300 of each class
BATCH = 33
HELD_OUT_IMAGES = 2_200  # 200 of each class
CALIBRATION_IMAGES = 110
SEARCH_IMAGES = 4_096  # as many as a search for a recipe takes
JUDGING_IMAGES = 8_800  # of searched recipes: 2,200 leave a drop uncertain by 0.4 points either way
VERSION = 2  # counted up by a change of the images or of the training

NETWORKS: Registry[TrainedNetwork] = Registry(
    "network of the study",
    (
        TrainedNetwork("topformer-tiny-cls", side=128, epochs=12),
        TrainedNetwork("edgenext-xx-small", epochs=12),
        TrainedNetwork("mobilenetv2-100", epochs=12),
        TrainedNetwork("mobilenetv3-large-100"),
        TrainedNetwork("edgevit-xxs"),
        TrainedNetwork("topformer-tiny", side=128, epochs=12),
        TrainedNetwork("mobilevit-s", epochs=6),
        TrainedNetwork("xformer", epochs=5),
        TrainedNetwork("conv2former-n", epochs=5),
        TrainedNetwork("swin-tiny", epochs=14, learning_rate=5e-4, bfloat16=True),
        TrainedNetwork("xformer-seg", side=128, epochs=6, bfloat16=True),
    ),
    name_of=str,
)
