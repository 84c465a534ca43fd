"""Verdicts of rows: faster, same, slower, unknown; gates, budgets, causes and contexts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgedeploy.benchmarks.comparison import ComparisonOptions, compare_measurements
from edgedeploy.benchmarks.comparison.rows import key_of
from edgedeploy.benchmarks.statistics.comparison import significant
from edgedeploy.benchmarks.statistics.noise import NoiseModel, RowNoise
from edgedeploy.core.device import DeviceInfo
from edgedeploy.core.errors import ContextsDiffer, UsageError
from edgedeploy.core.measurement import InstructionCount, LaunchFigures, Measurement, OperatorTime, Profile
from edgedeploy.core.parity import Parity
from edgedeploy.core.results.comparison import ANONYMOUS, Comparison, device_labels
from tests.benchmarks.statistics.traces import MEDIAN_NS, quiet, row
from tests.cli.rows import PHONE, measurement

PARITY = Parity(0.1, 0.1, 0.01, 34.0, 1.0, None, 10)


def timed(seed: int, factor: float = 1.0, **changes: Any) -> Measurement:
    rng = np.random.default_rng(seed)
    return row(*(quiet(rng) * factor for _ in range(3)), **changes)


def counted(total: int, **changes: Any) -> Measurement:
    count = InstructionCount("cortex-a76", total, {}, total, total, 0.0)
    return measurement(instructions=count, samples_ns=(), sample_launches=(), latency_ns=None, **changes)


def compared(base: Measurement, head: Measurement, **options: Any) -> Comparison:
    return compare_measurements([base], [head], ComparisonOptions(**options), ("base", "head"))


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "same"), (1.1, "slower"), (0.9, "faster"), (1.03, "unknown")])
def test_a_row_is_what_the_change_of_its_samples_makes_it(factor: float, verdict: str) -> None:
    found = compared(timed(1), timed(2, factor)).rows[0]
    assert found.verdict == verdict
    assert found.difference is not None
    assert found.difference.low < factor - 1 < found.difference.high
    assert found.regressed == (verdict == "slower")


def test_files_of_mlperf_are_compared_by_their_p90_of_every_inference() -> None:
    rng = np.random.default_rng(1)
    base, head = (row(6 * factor * quiet(rng, 1024), protocol="mlperf") for factor in (1.0, 1.5))
    found = compared(base, head).rows[0]
    assert found.difference is not None
    assert base.latency_ns is not None
    assert (found.verdict, found.difference.metric) == ("slower", "p90")
    assert found.difference.base == pytest.approx(base.latency_ns.p90, abs=1)
    assert compared(base, head, metric="median").rows[0].difference != found.difference


def test_a_tail_that_grew_alone_is_unknown_until_the_history_knows_how_much_it_differs() -> None:
    def longer_tail(seed: int) -> Measurement:
        rng = np.random.default_rng(seed)
        launches = [quiet(rng) for _ in range(3)]
        return row(*(launch + 8 * np.maximum(0, launch - 1.01 * MEDIAN_NS) for launch in launches))

    base, head = timed(1), longer_tail(2)
    steady = NoiseModel(launch_sd=0.003, session_sd=0.003, measurements=30)
    known = {key_of(base): RowNoise(steady, steady)}
    options: tuple[dict[str, Any], ...] = ({}, {"noise": known})
    found = [compared(base, head, metric="p90", **chosen).rows[0].verdict for chosen in options]
    assert found == ["unknown", "slower"]


def test_the_same_file_is_the_same() -> None:
    found = compared(timed(1), timed(1))
    assert (found.rows[0].verdict, list(found.regressions())) == ("same", [])
    assert found.headline == "no regression found: 1 row, 1 same"


def test_a_regression_says_which_row_how_much_and_how_sure() -> None:
    (line,) = compared(timed(1), timed(1, 1.1)).regressions()
    assert line.startswith("net/onnx-fp32, 1 thread: 10.0% slower (+7.")
    assert "p = 1 in " in line or "p < 1 in a million" in line


def test_a_row_that_drifts_is_unknown_unless_the_change_is_larger_than_its_drift() -> None:
    heating = np.linspace(1.0, 1.08, 50)
    rng = np.random.default_rng(5)
    hot = [row(*(quiet(rng) * heating * factor for _ in range(3))) for factor in (1.0, 1.5)]
    small, large = (compared(timed(1), head).rows[0] for head in hot)
    assert small.verdict == "unknown"
    assert small.reason.startswith("not trustworthy (head: ")
    assert "head: the latency rose by " in small.reason
    assert large.verdict == "slower"


@pytest.mark.parametrize(("total", "verdict"), [(1_000_900, "same"), (1_001_100, "slower"), (990_000, "faster")])
def test_instructions_have_a_gate_of_one_in_a_thousand(total: int, verdict: str) -> None:
    assert compared(counted(1_000_000), counted(total)).rows[0].verdict == verdict


@pytest.mark.parametrize(
    ("change", "metric"),
    [
        ({"size_bytes": 4 * 2**20}, "size"),
        ({"load_ns": 60_000_000, "launches": (LaunchFigures(60_000_000, None, None),) * 3}, "load"),
        ({"peak_rss_bytes": 60 * 2**20}, "peak memory"),
        ({"parity": replace(PARITY, sqnr_db=30.0)}, "SQNR"),
    ],
)
def test_size_load_memory_and_accuracy_are_gated(change: dict[str, Any], metric: str) -> None:
    found = compared(timed(1, parity=PARITY), timed(1, **{"parity": PARITY, **change})).rows[0]
    assert [gate.metric for gate in found.gates if not gate.passed] == [metric]
    assert [found.verdict, found.regressed] == ["same", True]


def test_the_causes_are_the_operators_that_grew_rewrites_and_versions() -> None:
    def profile(*times_ns: int) -> Profile:
        return Profile(10, tuple(OperatorTime(f"op{n}", "Conv", 10, ns) for n, ns in enumerate(times_ns)))

    base = timed(1, profile=profile(5000, 5000), rewrites={"fuse": 4}, made_with={"onnx": "1.19"})
    head = timed(2, 1.2, profile=profile(5010, 7000, 900), rewrites={}, made_with={"onnx": "1.20"})
    assert compared(base, head).rows[0].causes == (
        "operator op2 (Conv) is new: +9e-05 ms, +9.00% of the inference",
        "operator op1 (Conv) changed: +0.0002 ms, +20.00% of the inference",
        "rewrite fuse was applied 4 times in base, 0 times in head",
        "made with onnx 1.19 in base, 1.20 in head",
    )


def test_other_devices_and_conditions_are_refused_or_marked() -> None:
    head = timed(2, cpu_mask=0xF0, runtime_version="1.32.0")
    with pytest.raises(ContextsDiffer, match=r"1\.31\.1 -> onnxruntime 1\.32\.0"):
        compared(timed(1), head)
    assert compared(timed(1), head, force=True).rows[0].context == (
        "runtime: onnxruntime 1.31.1 -> onnxruntime 1.32.0",
        "cores: all -> f0",
    )


BOARD = DeviceInfo("ssh", "ssh:board", model="Board", abis=("arm64-v8a",))


def test_rows_of_several_devices_are_compared_device_by_device_and_name_it() -> None:
    base, head = ([timed(1), timed(2, factor, device=BOARD)] for factor in (1.0, 1.2))
    found = compare_measurements(base, head[::-1], ComparisonOptions(), ("base", "head"))
    assert [(str(row.key), row.verdict) for row in found.rows] == [
        ("net/onnx-fp32, 1 thread on Google Pixel 7", "same"),
        ("net/onnx-fp32, 1 thread on Board", "slower"),
    ]
    assert [row.key.device for row in compared(base[0], base[0]).rows] == [""]
    alone = compare_measurements(base, base[:1], ComparisonOptions(), ("base", "head"))
    assert alone.only_in_base == ("net/onnx-fp32, 1 thread on Board",)


def test_a_row_that_each_has_on_another_device_is_refused_or_forced_beside_those_that_match() -> None:
    base = [timed(1), timed(2, device=BOARD)]
    head = [timed(1), timed(2, device=replace(BOARD, name="ssh:other", model="Other"))]
    with pytest.raises(ContextsDiffer, match="device: ssh Board -> ssh Other"):
        compare_measurements(base, head, ComparisonOptions(), ("base", "head"))
    found = compare_measurements(base, head, ComparisonOptions(force=True), ("base", "head"))
    assert [row.key.device for row in found.rows] == ["Google Pixel 7", "Other"]


def test_a_phone_is_the_same_one_by_its_serial_number_however_it_is_reached() -> None:
    usb, network = (replace(PHONE, serial="R5CT", name=f"adb:{name}") for name in ("R5CT", "10.0.0.7:5555"))
    assert compared(timed(1, device=usb), timed(1, device=network)).rows[0].context == ()
    twins = device_labels([usb, replace(usb, serial="R6", name="adb:R6")])
    assert list(twins.values()) == ["Google Pixel 7 (adb:R5CT)", "Google Pixel 7 (adb:R6)"]


def test_a_replay_without_serial_numbers_is_matched_by_model_among_several_phones() -> None:
    pixel, galaxy = (replace(PHONE, serial=serial, model=serial) for serial in ("Pixel 7", "Galaxy S23"))
    replayed = [timed(3, device=replace(phone, serial=ANONYMOUS)) for phone in (galaxy, pixel)]
    measured = [timed(1, device=pixel), timed(2, device=galaxy)]
    found = compare_measurements(measured, replayed, ComparisonOptions(), ("base", "head"))
    assert [(row.context, row.verdict) for row in found.rows] == [((), "same")] * 2
    assert (found.only_in_base, found.only_in_head) == ((), ())
    twins = [*measured, timed(4, device=replace(pixel, serial="another"))]
    found = compare_measurements(twins, replayed, ComparisonOptions(), ("base", "head"))
    assert (len(found.rows), len(found.only_in_base), len(found.only_in_head)) == (1, 2, 1)


def test_rows_without_a_partner_are_listed_and_nothing_in_common_is_an_error() -> None:
    one, other = timed(1), timed(2, threads=4)
    found = compare_measurements([one], [one, other], ComparisonOptions(), ("base", "head"))
    assert found.only_in_head == ("net/onnx-fp32, 4 threads",)
    with pytest.raises(UsageError, match="no row in common"):
        compared(one, other)
    with pytest.raises(UsageError, match="two rows"):
        compare_measurements([one, one], [one], ComparisonOptions(), ("base", "head"))


def test_holms_correction_is_by_the_number_of_rows() -> None:
    assert significant([0.004], 0.005) == [True]
    assert significant([0.004, 0.5, 0.9], 0.005) == [False, False, False]
    assert significant([0.9, 0.001, 0.0024], 0.005) == [False, True, True]
