"""The mean and the gain of a few errors, less what chance explains of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edgedeploy.core.recipes import STATIC_INT8
from edgedeploy.exporters.operators.output_correction import (
    Correction,
    correction,
    output_corrections,
    shrunk_gain,
    shrunk_mean,
)
from edgedeploy.models.rewrites import capture
from tests.exporters.small_network import export_job

CHANNELS = 200
LOGITS, MAP = np.ones((1, CHANNELS), np.float32), np.ones((1, CHANNELS, 4, 4), np.float32)


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((samples, CHANNELS))


def test_an_error_that_all_samples_share_is_taken_whole() -> None:
    shared = noise(1)[0]
    assert np.allclose(shrunk_mean(np.stack([shared] * 4)), shared)


def test_of_errors_without_anything_in_common_next_to_nothing_is_taken() -> None:
    taken = np.square(shrunk_mean(noise(16))).sum()
    assert taken < 0.02 * np.square(noise(16).mean(0)).sum()


def test_the_shrunk_mean_is_closer_to_the_truth_than_the_mean() -> None:
    truth = 0.2 * noise(1, 1)[0]
    for seed in range(5):
        errors = truth + noise(16, seed + 2)
        assert np.square(shrunk_mean(errors) - truth).sum() < np.square(errors.mean(0) - truth).sum()


def test_one_sample_tells_nothing() -> None:
    assert not shrunk_mean(noise(1)).any()


def test_no_error_needs_no_correction() -> None:
    assert not shrunk_mean(np.zeros((4, CHANNELS))).any()


@pytest.mark.parametrize("gain", [0.9, 0.98, 1.05])
def test_a_gain_of_what_differs_between_images_is_found_whatever_their_mean(gain: float) -> None:
    expected = 100 + noise(16)
    given = 3 + gain * noise(16) + 0.01 * noise(16, 1)
    assert shrunk_gain(expected, given) == pytest.approx(1 / gain, abs=1e-3)
    found = correction(expected, given)
    assert np.abs(found.gain * given + found.shift - expected).max() < 0.1, "95 before"


def test_a_gain_that_chance_explains_is_none() -> None:
    assert all(
        shrunk_gain(noise(16), noise(16) + 0.1 * noise(16, seed)) == pytest.approx(1, abs=5e-3) for seed in (1, 2)
    )


@pytest.mark.parametrize("count", [1, 2, 7])
def test_few_samples_tell_no_gain(count: int) -> None:
    assert shrunk_gain(noise(count), 0.9 * noise(count)) == 1.0


def test_outputs_that_hardly_depend_on_the_image_are_not_scaled() -> None:
    assert shrunk_gain(0.1 * noise(16), 0.05 * noise(16) + noise(16, 1)) == 1.0
    assert shrunk_gain(np.ones((16, CHANNELS)), noise(16)) == 1.0


def corrections(expected: list[np.ndarray], given: list[np.ndarray]) -> dict[int, Correction]:
    """Of a file that gives the same for both of its calibration samples."""
    example = torch.zeros(1, 3, 4, 4)
    module = capture(torch.nn.Identity().eval(), (example,))
    job = export_job(module, example, Path("model"), STATIC_INT8, [example, example])
    job = replace(job, expected_outputs=lambda count: [tuple(expected)] * count)
    return output_corrections(job, lambda sample: given)


def test_a_file_lacks_what_the_float_network_gives_more() -> None:
    found = corrections([LOGITS, 3 * LOGITS], [LOGITS, LOGITS])
    assert not found[0]
    assert np.allclose(found[1].shift, 2)


def test_maps_and_labels_are_left_alone() -> None:
    assert list(corrections([MAP, 3 * LOGITS], [0 * MAP, LOGITS])) == [1]
    assert not corrections([LOGITS.astype(np.int64)], [0 * LOGITS.astype(np.int64)])


@pytest.mark.parametrize("expected", [[LOGITS[:, 1:]], [LOGITS[0]], [LOGITS] * 2, [np.nan * LOGITS]])
def test_outputs_that_cannot_be_compared_correct_nothing(expected: list[np.ndarray]) -> None:
    assert not corrections(expected, [0 * LOGITS])
