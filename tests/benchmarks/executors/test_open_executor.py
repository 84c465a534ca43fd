"""Which executor a device's name opens, and what is refused."""

from __future__ import annotations

import pytest

from edgedeploy.benchmarks.executors import ExecutorOptions, MeasurementConditions, open_executor
from edgedeploy.core.errors import UnknownName, UsageError


def test_an_unknown_emulated_cpu_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'cortex-a53'"), open_executor("qemu:cortex-a35"):
        pass


def test_an_emulated_cpu_has_no_cores_to_choose() -> None:
    options = ExecutorOptions(conditions=MeasurementConditions(cores="big"))
    with pytest.raises(UsageError, match="no cores to choose"), open_executor("qemu", options):
        pass


def test_the_legacy_runtime_runs_on_this_machine_only() -> None:
    with (
        pytest.raises(UsageError, match="runs on this machine only"),
        open_executor("qemu", ExecutorOptions(runtime="tflite-runtime")),
    ):
        pass


def test_an_unknown_runtime_is_refused() -> None:
    with (
        pytest.raises(UsageError, match="--runtime tflite"),
        open_executor("local", ExecutorOptions(runtime="tflite")),
    ):
        pass


def test_this_machine_is_opened_with_its_description() -> None:
    with open_executor("local") as executor:
        assert executor.is_host
        assert (executor.info.kind, executor.info.name) == ("local", "local")
        assert executor.info.cores
        assert executor.restored == ()
