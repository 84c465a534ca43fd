"""bench --protocol mlperf and sustained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import edgedeploy
from edgedeploy.benchmarks.devices.transports.scripted import ScriptedDevice
from edgedeploy.benchmarks.statistics import assess
from edgedeploy.core.artifact import Artifact
from edgedeploy.core.errors import UnknownName, UsageError
from edgedeploy.pipeline.measuring.options import BenchOptions
from tests.cli.rows import measurement
from tests.scripted_phone import ADDRESS


def test_a_sustained_run_is_one_launch_with_its_curve_and_keeps_what_throttled(
    pixel: ScriptedDevice, small: Artifact
) -> None:
    pixel.heat(status=2, big_c=70.0)
    (row,) = edgedeploy.bench([small], device=ADDRESS, protocol="sustained", minutes=0.01)
    assert row.sustained is not None
    assert sum(row.samples_ns) / 1e9 > 0.3
    assert set(row.sample_launches) == {0}
    assert row.throttled_samples is not None
    assert (len(row.throttled_samples), row.discarded_ns) == (len(row.samples_ns), ())
    assert row.sustained.curve[-1].temperature_c == 70.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "mlperf", "num_runs": 5}, "--protocol mlperf says itself how long is measured"),
        ({"minutes": 5}, "--minutes belongs to --protocol sustained"),
        ({"protocol": "sustained", "minutes": 0}, "--minutes is from 0.01"),
    ],
)
def test_a_protocol_says_itself_how_long_is_measured(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        BenchOptions(**options)


def test_a_protocol_with_a_typo_has_a_near_name() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'mlperf'"):
        BenchOptions(protocol="mlpref")


def test_mlperf_asks_for_1024_queries_and_a_minute_and_counts_every_one() -> None:
    assert (BenchOptions(protocol="mlperf").length.num_runs, BenchOptions(protocol="mlperf").length.min_secs) == (
        1024,
        60,
    )
    slow_start = (90_000_000,) * 100 + (50_000_000,) * 1100
    row = measurement(samples_ns=slow_start, sample_launches=(0,) * 1200, protocol="mlperf")
    found = assess(row)
    assert found.verdict is not None
    assert [doubt.kind for doubt in found.verdict.doubts if doubt.kind in ("rules", "one launch")] == []
    assert found.latency_ns is not None
    assert found.latency_ns.count == 1200
    short = assess(replace(row, samples_ns=slow_start[:1000], sample_launches=(0,) * 1000)).verdict
    assert short is not None
    assert "rules" in [doubt.kind for doubt in short.doubts]
