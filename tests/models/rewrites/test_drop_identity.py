from __future__ import annotations

import torch
from torch import Tensor, nn

from edgedeploy.models.rewrites.drop_identity import REWRITE

from .tools import rewritten


class Dropouts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.channels = nn.Dropout(0.1), nn.Dropout2d(0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.channels(self.layer(x.softmax(-1)).detach()).exp()


def test_dropouts_that_do_not_train_and_aliases_go() -> None:
    done = rewritten(REWRITE, Dropouts(), (2, 3, 4, 4))
    assert done.applied == 3
    assert done.count("dropout") == done.count("feature_dropout") == done.count("detach") == 0
    assert done.error() == 0.0


class DropsAlways(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.dropout(x, 0.5, training=True)


def test_a_dropout_that_draws_random_numbers_stays() -> None:
    done = rewritten(REWRITE, DropsAlways(), (2, 3))
    assert (done.applied, done.count("dropout")) == (0, 1)


class Converts(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.exp().to(torch.float32) + x.exp().to(torch.float64).float()


def test_a_conversion_to_the_same_type_goes_and_others_stay() -> None:
    done = rewritten(REWRITE, Converts(), (2, 3))
    assert done.applied == 1
    assert done.count("to") == 2
    assert done.error() == 0.0


class Pads(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.pad(x.exp(), (0, 0, 0, 0)) + torch.nn.functional.pad(x, (1, -1))


def test_a_padding_by_nothing_goes_and_others_stay() -> None:
    done = rewritten(REWRITE, Pads(), (2, 3))
    assert (done.applied, done.count("pad"), done.error()) == (1, 1, 0.0)
