"""bench --interleave: two artifacts in turns, with a canary, on this machine and on a phone."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgedeploy.benchmarks.canary import FILES, canary_workload
from edgedeploy.benchmarks.devices.transports.scripted import ScriptedDevice
from edgedeploy.benchmarks.executors import RunOptions, open_executor
from edgedeploy.core.artifact import Artifact
from edgedeploy.core.errors import NotTrustworthy, UsageError
from edgedeploy.core.measurement import Measurement, OperatorTime, Profile
from edgedeploy.core.reporter import NullReporter
from edgedeploy.core.results.result_files import read_result_file
from edgedeploy.pipeline.measuring.interleaved import bench_interleaved, least_disturbed
from tests.phones import need
from tests.scripted_phone import ADDRESS
from tests.small_artifacts import convolution

QUICK = {"launches": 4, "num_runs": 5, "warmup_runs": 1, "min_secs": 0.0}


@pytest.fixture
def two(tmp_path: Path, own_folders: None) -> list[Artifact]:
    need(["g++", "cmake", "ninja"])
    return [convolution(tmp_path / name, name=name, channels=size) for name, size in (("one", 8), ("two", 64))]


def test_both_have_a_launch_in_each_block_and_the_file_has_the_comparison(two: list[Artifact], tmp_path: Path) -> None:
    rows: dict[int, Measurement] = {}
    file = tmp_path / "results.json"
    (pair,) = bench_interleaved(two, seed=7, json_file=file, on_row=rows.__setitem__, profile=True, **QUICK)  # type: ignore[arg-type]
    assert [row.model for row in rows.values()] == ["one", "two"]
    for row in rows.values():
        assert row.sample_launches == tuple(block for block in range(4) for _ in range(5))
        assert len(row.launches) == 4
        assert row.profile is not None
        assert row.parity is not None
    assert [len(figure.base_ns) for figure in pair.figures] == [4, 4]
    assert len(pair.canary.medians_ns) == 5
    assert (pair.seed, sum(pair.head_first)) == (7, 2)
    written = read_result_file(file)
    assert written.pairs == (pair,)
    assert written.measurements == tuple(rows.values())


def test_on_a_phone_too_and_too_few_blocks_can_be_an_error(pixel: ScriptedDevice, two: list[Artifact]) -> None:
    with pytest.raises(NotTrustworthy, match="1 of the comparisons is not trustworthy") as caught:
        bench_interleaved(two, device=ADDRESS, require_trust=True, **QUICK)  # type: ignore[arg-type]
    assert "4 blocks are too few" in str(caught.value)


def test_a_profile_has_the_least_disturbed_launch_of_each_operator() -> None:
    first, second = (
        Profile(10, tuple(OperatorTime(f"op{index}", "Conv", 10, ns) for index, ns in enumerate(times)))
        for times in ((100, 900), (700, 200))
    )
    other = Profile(10, (OperatorTime("op9", "Conv", 10, 1),))
    found = least_disturbed([first, second, other])
    assert found is not None
    assert [operator.total_ns for operator in found.operators] == [100, 200]


@pytest.mark.parametrize("count", [1, 3])
def test_it_takes_two_artifacts(tmp_path: Path, count: int) -> None:
    with pytest.raises(UsageError, match=f"--interleave takes two artifacts, not {count}"):
        bench_interleaved([convolution(tmp_path / str(number)) for number in range(count)])


def test_instructions_are_not_interleaved(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is nothing to interleave"):
        bench_interleaved([convolution(tmp_path / name) for name in "ab"], device="qemu")


@pytest.mark.usefixtures("own_folders")
@pytest.mark.parametrize("runtime", FILES)
def test_each_runtime_has_a_canary_that_it_runs(runtime: str) -> None:
    need(["g++", "cmake", "ninja"])
    workload = canary_workload(runtime)
    with open_executor("local") as executor:
        output = executor.run(workload, RunOptions(num_runs=2, min_secs=0.0), NullReporter())
    assert [array.shape for array in output.outputs[0]] == [(1, 8)]
