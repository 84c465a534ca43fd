"""Which cores "big", "little" and a mask mean."""

from __future__ import annotations

import pytest

from edgedeploy.benchmarks.conditions import MeasurementConditions
from edgedeploy.benchmarks.conditions.cores import core_mask
from edgedeploy.benchmarks.conditions.session import apply_conditions
from edgedeploy.benchmarks.devices.transports.scripted import PIXEL_7_CLOCKS_KHZ, ScriptedDevice
from edgedeploy.core.device import ConditionLogEntry, Core
from edgedeploy.core.errors import UsageError

PIXEL_CORES = tuple(Core(number, clock) for number, clock in enumerate(PIXEL_7_CLOCKS_KHZ))


@pytest.mark.parametrize(
    ("wanted", "mask"), [("big", 0xC0), ("little", 0x0F), ("all", None), ("30", 0x30), ("0xf0", 0xF0), ("1", 1)]
)
def test_cores_are_chosen_by_their_maximum_frequency(wanted: str, mask: int | None) -> None:
    assert core_mask(PIXEL_CORES, wanted) == mask


@pytest.mark.parametrize("wanted", ["huge", "0", "1ff", "-1", ""])
def test_an_impossible_mask_is_refused(wanted: str) -> None:
    with pytest.raises(UsageError, match="--cores"):
        core_mask(PIXEL_CORES, wanted)


def test_no_core_is_big_where_frequencies_are_not_reported() -> None:
    assert core_mask((Core(0), Core(1)), "big") is None
    assert core_mask((Core(0, 1000), Core(1, 1000)), "big") == 3
    with pytest.raises(UsageError, match="no little cores"):
        core_mask((Core(0, 1000), Core(1, 1000)), "little")


def test_the_mask_of_the_chosen_cores_is_logged(pixel: ScriptedDevice) -> None:
    options = MeasurementConditions(cores="big", fixed_performance=False)
    with apply_conditions(pixel, pixel.describe(), options) as conditions:
        assert conditions.mask == 0xC0
    assert conditions.log == (ConditionLogEntry("cores big", "mask c0"),)
