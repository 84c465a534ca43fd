"""Verdicts of two artifacts in turns, and what the canary is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from edgedeploy.benchmarks.comparison.paired import Blocks, judge_blocks, random_order
from edgedeploy.core.device import DeviceInfo
from edgedeploy.core.results.paired import PairedComparison
from tests.cli.rows import measurement

Course = Callable[[int], float]  # what the machine does to the launch of this number


def judged(
    factor: float, machine: Course = lambda number: 1.0, blocks: int = 12, noise: float = 0.005
) -> PairedComparison:
    """Head takes `factor` times as long."""
    rng = np.random.default_rng(blocks)

    def launch(level: float, number: int) -> list[int]:
        return [round(1e6 * level * machine(number) * rng.normal(1, noise)) for _ in range(20)]

    order = random_order(blocks, seed=3)
    numbers = [3 * block + 1 for block in range(blocks)]
    row = measurement()
    return judge_blocks(
        Blocks(
            row,
            row,
            [launch(1.0, number + first) for number, first in zip(numbers, order, strict=True)],
            [launch(factor, number + (not first)) for number, first in zip(numbers, order, strict=True)],
            [launch(0.3, 3 * block) for block in range(blocks + 1)],
            3,
            order,
        )
    )


@pytest.mark.parametrize(("factor", "verdict"), [(1.03, "slower"), (0.97, "faster"), (1.0, "same")])
def test_a_quiet_machine_shows_small_changes(factor: float, verdict: str) -> None:
    found = judged(factor)
    assert (found.verdict, found.reason) == (verdict, "")
    assert found.figure("median").change == pytest.approx(factor - 1, abs=0.01)


def test_a_machine_that_gets_half_as_fast_hides_no_slowdown() -> None:
    found = judged(1.05, lambda number: 1 + number / 37)
    assert found.verdict == "slower"
    assert found.canary.drift > 0.5


def test_on_a_machine_that_changes_nothing_is_called_the_same() -> None:
    found = judged(1.0, lambda number: 1 + number / 37)
    assert found.verdict == "not trustworthy"
    assert "the machine itself changed: the canary drifted by +" in found.reason


def test_too_few_blocks_are_not_trusted() -> None:
    found = judged(1.5, blocks=6)
    assert (found.verdict, found.reason) == ("not trustworthy", "6 blocks are too few: --launches 12 or more")


def test_an_uncertain_change_says_how_large_it_may_be() -> None:
    found = judged(1.0, lambda number: 1 + 0.2 * np.sin(number) if number % 3 else 1.0)  # misses the canary
    assert found.verdict == "not trustworthy"
    assert "cannot be excluded: more blocks, --launches 24" in found.reason


def test_an_emulated_phone_has_no_verdict() -> None:
    row = measurement(device=DeviceInfo("adb", "adb:emulated", emulated=True))
    samples = [[1000] * 20] * 12
    found = judge_blocks(Blocks(row, row, samples, samples, [*samples, samples[0]], 0, [True] * 12))
    assert found.verdict == "not trustworthy"
    assert "an emulator's times mean nothing" in found.reason


def test_the_order_is_that_of_its_seed_and_has_no_side() -> None:
    assert random_order(12, 5) == random_order(12, 5) != random_order(12, 6)
    assert sum(random_order(12, 5)) == 6


def test_what_became_slower_has_its_causes() -> None:
    blocks = [[1000 + number] * 20 for number in range(12)]
    slower = [[1100 + number] * 20 for number in range(12)]
    base = measurement(rewrites={"fuse": 1})
    found = judge_blocks(Blocks(base, replace(base, rewrites={}), blocks, slower, [*blocks, blocks[0]], 0, [True] * 12))
    assert found.verdict == "slower"
    assert found.causes == ("rewrite fuse was applied 1 times in base, 0 times in head",)
