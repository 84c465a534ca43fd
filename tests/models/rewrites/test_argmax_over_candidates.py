from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgedeploy.models.adapters.heads import with_head
from edgedeploy.models.rewrites.argmax_over_candidates import REWRITE, candidate_labels, corner_weights

from .tools import rewritten


def smooth_logits(classes: int, h: int, w: int, seed: int = 0) -> Tensor:
    """Logits as smooth as a trained network's: a coarse random map, resized."""
    coarse = torch.randn(1, classes, h // 4, w // 4, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, size=(h, w), mode="bicubic")


def direct(logits: Tensor, factor: int) -> Tensor:
    return F.interpolate(logits, scale_factor=factor, mode="bilinear").argmax(1)


def test_smooth_logits_give_the_labels_of_the_direct_computation() -> None:
    logits = smooth_logits(150, 32, 48)
    labels = candidate_labels(logits, corner_weights(8), 8)
    assert labels.shape == (1, 256, 384)
    assert (labels != direct(logits, 8)).float().mean() < 1e-3
    assert labels.unique().numel() > 20


def test_with_all_classes_as_candidates_even_noise_is_exact() -> None:
    logits = torch.randn(2, 12, 5, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(candidate_labels(logits, corner_weights(4), 12), direct(logits, 4))


def test_noise_is_the_worst_case_and_beyond_the_bound() -> None:
    # every position has a class of its own, and no class is large at two neighbours
    logits = torch.randn(1, 150, 16, 16, generator=torch.Generator().manual_seed(0))
    differing = (candidate_labels(logits, corner_weights(8), 8) != direct(logits, 8)).float().mean().item()
    assert 0.01 < differing < 0.15  # beyond the rewrite's bound: such a network is left as it is


def test_a_cell_whose_corners_agree_is_exact_for_one_candidate() -> None:
    logits = torch.zeros(1, 20, 6, 6)
    logits[:, 7] = 1 + torch.rand(6, 6)
    assert torch.equal(candidate_labels(logits, corner_weights(8), 1), direct(logits, 8))


class Logits(nn.Module):
    def __init__(self, classes: int, factor: float) -> None:
        super().__init__()
        self.classify = nn.Conv2d(3, classes, 3, padding=1)
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(F.avg_pool2d(x, int(self.factor)))


def test_the_tail_of_a_network_is_found_and_replaced() -> None:
    done = rewritten(REWRITE, with_head(Logits(40, 8), "labels"), (1, 3, 64, 64))
    assert (done.applied, done.count("upsample_bilinear2d"), done.count("topk")) == (1, 0, 1)
    with torch.no_grad():
        before, after = done.before(*done.inputs), done.after(*done.inputs)
    assert after.dtype == torch.uint8
    assert (before != after).float().mean() <= REWRITE.exactness.differing_share


def test_few_classes_are_not_worth_it() -> None:
    done = rewritten(REWRITE, with_head(Logits(5, 8), "labels"), (1, 3, 64, 64))
    assert "too few" in done.declined[0].reason


def test_an_odd_factor_is_declined() -> None:
    done = rewritten(REWRITE, with_head(Logits(40, 3), "labels"), (1, 3, 48, 48))
    assert "not one even factor" in done.declined[0].reason
