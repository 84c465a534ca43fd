from __future__ import annotations

import json
import math

import numpy as np
import pytest

from edgedeploy.core.parity import Parity, compare


def test_equal_outputs_have_no_error_and_infinite_sqnr() -> None:
    found = compare(np.array([1.0, -2.0]), np.array([1.0, -2.0]))
    assert (found.max_abs_error, found.sqnr_db, found.cosine) == (0.0, math.inf, 1.0)


def test_the_figures_are_those_of_a_hand_computation() -> None:
    found = compare(np.array([3.0, 4.0]), np.array([3.0, 4.5]))
    assert found.max_abs_error == 0.5
    assert found.mean_abs_error == 0.25
    assert found.relative_error == 0.5 / 0.5  # the reference deviates by 0.5 from its mean of 3.5
    assert found.sqnr_db == pytest.approx(10 * math.log10(12.5 / 0.125))
    assert found.cosine == pytest.approx((9 + 18) / (5 * math.hypot(3, 4.5)))


def test_labels_are_compared_along_the_class_axis() -> None:
    reference = np.array([[[1.0, 0.0], [0.0, 1.0]]])  # two classes, two positions
    swapped = np.array([[[1.0, 2.0], [0.0, 1.0]]])
    assert compare(reference, swapped, class_axis=1).label_agreement == 0.5


def test_integer_outputs_are_labels() -> None:
    found = compare(np.array([1, 2, 3, 4], np.uint8), np.array([1, 2, 3, 5], np.uint8))
    assert found.labels
    assert found.label_agreement == 0.75


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_an_infinite_error(poison: float) -> None:
    found = compare(np.array([1.0, 2.0]), np.array([1.0, poison]))
    assert found.max_abs_error == math.inf
    assert found.sqnr_db == -math.inf


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        compare(np.zeros(2), np.zeros(3))


def test_a_constant_reference_is_measured_in_its_own_units() -> None:
    assert compare(np.ones(4), np.full(4, 1.5)).relative_error == 0.5


def test_json_round_trip_keeps_an_infinite_sqnr() -> None:
    found = compare(np.ones(3), np.ones(3))
    assert Parity.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False))) == found
