from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from edgedeploy.core.parity import Parity, Threshold, compare, worst
from edgedeploy.core.storage.json_records import decode, encode


def test_equal_outputs_have_no_error_and_infinite_sqnr() -> None:
    found = compare(np.array([1.0, -2.0]), np.array([1.0, -2.0]))
    assert (found.max_abs_error, found.sqnr_db, found.cosine) == (0.0, None, 1.0)
    assert found.sqnr == math.inf


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
def test_a_value_that_is_not_finite_is_the_largest_error_there_is(poison: float) -> None:
    found = compare(np.array([1.0, 2.0]), np.array([1.0, poison]))
    assert not found.is_finite
    assert found.max_abs_error == sys.float_info.max
    assert found.sqnr == -sys.float_info.max
    assert decode(encode(found), Parity) == found


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        compare(np.zeros(2), np.zeros(3))


def test_a_constant_reference_is_measured_in_its_own_units() -> None:
    assert compare(np.ones(4), np.full(4, 1.5)).relative_error == 0.5


def test_json_round_trip_keeps_an_infinite_sqnr() -> None:
    found = compare(np.ones(3), np.ones(3))
    assert decode(encode(found), Parity) == found


def real(sqnr_db: float | None) -> Parity:
    return Parity(0.0 if sqnr_db is None else 1.0, 0.1, 0.1, sqnr_db, 1.0, None, 4)


def labels(agreement: float) -> Parity:
    return Parity(1.0, 0.1, 0.1, 5.0, 1.0, agreement, 4, labels=True)


def test_the_worst_output_has_the_lowest_sqnr_and_labels_count_only_among_themselves() -> None:
    assert worst([real(None), real(40.0), real(30.0), labels(0.1)]) == real(30.0)
    assert worst([real(None), labels(0.1)]) == real(None)
    assert worst([labels(0.9), labels(0.8)]) == labels(0.8)
    assert worst([]) is None


def test_a_threshold_names_each_output_that_misses_it() -> None:
    assert Threshold(sqnr_db=20.0).misses([real(30.0), real(None)]) == []
    assert Threshold(sqnr_db=35.0).misses([real(40.0), real(30.0)]) == [
        "output 1: SQNR 30.0 dB, the threshold is 35 dB"
    ]
    assert Threshold(relative_error=0.01).misses([real(None)]) == [
        "output 0: largest error 0.1 σ, the threshold is 0.01 σ"
    ]
    assert Threshold(label_agreement=0.99).misses([labels(0.5)]) == [
        "output 0: 50.00% of labels agree, the threshold is 99%"
    ]
