"""The mean of a few errors, less what chance explains of it."""

from __future__ import annotations

import numpy as np

from edgedeploy.exporters.operators.output_correction import shrunk_mean

CHANNELS = 200


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
