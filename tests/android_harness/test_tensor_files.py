"""Tensor files, written and read in Python, and as the runner itself sees them."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from edgedeploy.android_harness.bundles import build_bundle
from edgedeploy.android_harness.host_runner import run_on_host
from edgedeploy.android_harness.protocol import RunRequest
from edgedeploy.android_harness.tensor_files import DTYPES, read_tensors, write_tensors
from edgedeploy.android_harness.toolchain import HOST_ABI
from edgedeploy.core.errors import RunnerFailed


def some_tensors() -> list[np.ndarray]:
    shapes = [(2, 3), (), (0, 4), (1, 2, 3, 4)]
    rng = np.random.default_rng(0)
    return [rng.integers(0, 2, shapes[i % 4]).astype(dtype) for i, dtype in enumerate(DTYPES)]


def assert_same(left: list[np.ndarray], right: list[np.ndarray]) -> None:
    assert [(a.dtype, a.shape) for a in left] == [(b.dtype, b.shape) for b in right]
    for a, b in zip(left, right, strict=True):
        np.testing.assert_array_equal(a, b)


def test_every_dtype_and_shape_comes_back_as_it_went(tmp_path):
    write_tensors(tmp_path / "t", some_tensors())
    assert_same(read_tensors(tmp_path / "t"), some_tensors())


def test_every_dtype_and_shape_passes_through_the_runner_unchanged():
    bundle = build_bundle("null", HOST_ABI)
    run = run_on_host(bundle, None, [some_tensors()], RunRequest(num_runs=1))
    assert_same(run.outputs[0], some_tensors())


def test_big_endian_and_strided_arrays_are_written_as_what_they_mean(tmp_path):
    tensor = np.arange(12, dtype=">i4").reshape(3, 4).T
    write_tensors(tmp_path / "t", [tensor])
    np.testing.assert_array_equal(read_tensors(tmp_path / "t")[0], tensor)


def test_a_dtype_that_no_runtime_takes_is_refused(tmp_path):
    with pytest.raises(RunnerFailed, match="complex64"):
        write_tensors(tmp_path / "t", [np.zeros(1, np.complex64)])


DAMAGED = {
    "empty": b"",
    "another file": b"PK\x03\x04 something else entirely\n\n",
    "no end of header": b"edgedeploy-tensors 1\nfloat32 1 1\n",
    "unknown dtype": b"edgedeploy-tensors 1\nfloat31 1 1\n\n1234",
    "negative length": b"edgedeploy-tensors 1\nint8 1 -4\n\n",
    "rank and lengths differ": b"edgedeploy-tensors 1\nint8 2 4\n\n1234",
    "more lengths than rank": b"edgedeploy-tensors 1\nint8 1 2 2\n\n1234",
    "cut short": b"edgedeploy-tensors 1\nint8 1 4\n\n123",
    "too long": b"edgedeploy-tensors 1\nint8 1 4\n\n12345",
    "too large": b"edgedeploy-tensors 1\nfloat64 3 4611686018427387904 4611686018427387904 16\n\n",
    "a petabyte": b"edgedeploy-tensors 1\nfloat64 1 140737488355328\n\n",
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_refused_by_both_sides(content, tmp_path):
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(RunnerFailed):
        read_tensors(tmp_path / "t")
    command = build_bundle("null", HOST_ABI).command()
    done = subprocess.run([*command, "--runtime", "null", "--inputs", tmp_path / "t"], capture_output=True, text=True)
    assert done.returncode == 3
    assert '"event":"error","stage":"inputs"' in done.stdout.splitlines()[-1]
