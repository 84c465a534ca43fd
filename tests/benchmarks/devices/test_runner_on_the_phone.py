"""The native runner on the emulated phone: the steps of `bench`, without a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgedeploy.android_harness.bundles import build_bundle
from edgedeploy.android_harness.protocol import RunnerPaths, RunRequest, parse_answer
from edgedeploy.android_harness.tensor_files import read_tensors, write_tensors
from edgedeploy.benchmarks.conditions import MeasurementConditions
from edgedeploy.benchmarks.conditions.session import apply_conditions
from edgedeploy.benchmarks.devices import require_abi, use_device
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from tests.phones import need


def test_the_runner_is_pushed_runs_on_the_core_of_its_mask_and_its_outputs_are_pulled(
    phone_device: RemoteDevice, tmp_path: Path
) -> None:
    need(["aarch64-linux-gnu-g++"])
    bundle = build_bundle("null", "arm64")
    image = np.arange(12, dtype=np.float32).reshape(1, 3, 2, 2)
    write_tensors(tmp_path / "inputs", [image])
    info = phone_device.describe()
    require_abi(info, "arm64-v8a")
    with use_device(phone_device), apply_conditions(phone_device, info, MeasurementConditions()) as conditions:
        first = phone_device.push(bundle.folder, "bundles/null")
        again = phone_device.push(bundle.folder, "bundles/null")
        assert (first.sent_bytes > 0, again.sent_bytes) == (True, 0)
        phone_device.push(tmp_path / "inputs", "work/inputs")
        conditions.before_run()
        request = RunRequest(num_runs=5, cpu_mask=1)
        paths = RunnerPaths(inputs="../../work/inputs", outputs="../../work/outputs")
        arguments = request.arguments("null", paths)
        command = [*bundle.command("."), *arguments]
        result = phone_device.run(command, cwd="bundles/null", timeout=request.timeout_s)
        answer = parse_answer(result.stdout, exit_code=result.exit_code, stderr=result.stderr)
        outputs = read_tensors(phone_device.pull("work/outputs", tmp_path / "outputs"))
        phone_device.remove("work")
    assert (answer.abi, len(answer.runs.ns)) == ("arm64", 5)
    assert set(answer.runs.cpu_before) == {0}
    assert np.array_equal(outputs[0], image)
    assert not [name for name in phone_device.list() if name.startswith(("work", "run", "tmp"))]
