"""The same bundles under emulation: equal outputs, and instruction counts that repeat and respect the arithmetic."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgedeploy.android_harness import qemu
from edgedeploy.android_harness.bundles import build_bundle
from edgedeploy.android_harness.host_runner import run_on_host
from edgedeploy.android_harness.protocol import RunRequest
from edgedeploy.android_harness.qemu import count_instructions
from edgedeploy.android_harness.toolchain import HOST_ABI
from edgedeploy.core.errors import RunnerFailed, UnknownName

from .tiny_models import MACS


@pytest.fixture(scope="module")
def counted(artifact):
    return count_instructions(build_bundle(artifact.runtime, "arm64"), artifact.path, artifact.inputs)


@pytest.fixture(scope="module")
def count(counted):
    return counted.instructions


def test_an_emulated_arm_cpu_computes_what_the_host_does(artifact, counted):
    request = RunRequest(num_runs=0)
    on_host = run_on_host(build_bundle(artifact.runtime, HOST_ABI), artifact.path, [artifact.inputs], request)
    for arm, x86 in zip(counted.outputs, on_host.outputs[0], strict=True):
        np.testing.assert_allclose(arm, x86, rtol=0, atol=1e-4)


def test_int8_on_arm_is_exactly_that_of_the_host(int8_artifact):
    emulated = count_instructions(build_bundle("onnxruntime", "arm64"), int8_artifact.path, int8_artifact.inputs)
    for arm, x86 in zip(emulated.outputs, int8_artifact.outputs, strict=True):
        np.testing.assert_array_equal(arm, x86)


def test_a_count_repeats_within_a_hundredth_of_a_percent(artifact, count):
    again = count_instructions(build_bundle(artifact.runtime, "arm64"), artifact.path, artifact.inputs).instructions
    assert again.total == pytest.approx(count.total, rel=1e-4)
    assert again.by_class == pytest.approx(count.by_class, rel=1e-4)


def test_a_float_convolution_executes_at_least_one_multiply_add_per_four_macs(count):
    bound = MACS / 4  # four floats in a vector
    assert count.by_class["float_mac"] >= bound
    assert bound < count.total < 20 * bound
    assert count.by_class["int8_dot"] == 0


def test_the_classes_add_up_and_start_up_is_apart(count):
    assert sum(count.by_class.values()) == count.total
    assert count.first_inference >= count.total
    assert count.startup_and_load > count.total
    # ONNX Runtime's allocator settles late: the difference depends on the length of the model's path (0 to 0.16 %).
    assert 0 <= count.last_change < 2e-3


def test_int8_uses_the_dot_product_where_the_cpu_has_one(int8_artifact):
    bundle = build_bundle("onnxruntime", "arm64")
    new, old = (
        count_instructions(bundle, int8_artifact.path, int8_artifact.inputs, cpu).instructions
        for cpu in ("cortex-a76", "cortex-a72")
    )
    assert new.by_class["int8_dot"] >= MACS / 16  # sixteen products in one SDOT
    assert old.by_class["int8_dot"] == 0
    assert old.total > new.total


def test_an_unknown_cpu_is_reported_with_the_known_ones(artifact):
    with pytest.raises(UnknownName, match=r"emulated CPU 'cortex-a67'\. Did you mean 'cortex-a76'"):
        count_instructions(build_bundle(artifact.runtime, "arm64"), artifact.path, artifact.inputs, "cortex-a67")


def test_a_missing_emulator_is_reported_with_the_command_that_installs_it(onnx_artifact, monkeypatch):
    bundle = build_bundle("onnxruntime", "arm64")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RunnerFailed, match="qemu-aarch64") as caught:
        count_instructions(bundle, onnx_artifact.path, onnx_artifact.inputs)
    assert "apt-get install qemu-user" in str(caught.value.hint)


def test_a_failure_of_the_runner_is_reported_as_on_any_device(onnx_artifact, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(RunnerFailed, match=r"runner \(arm64\) failed at the stage 'load'"):
        count_instructions(build_bundle("onnxruntime", "arm64"), tmp_path / "model.onnx", onnx_artifact.inputs)


def test_an_emulation_that_times_out_leaves_no_process(onnx_artifact, tmp_path):
    model = tmp_path / "model.onnx"
    model.write_bytes(onnx_artifact.path.read_bytes())
    with pytest.raises(RunnerFailed, match="no answer within"):
        count_instructions(build_bundle("onnxruntime", "arm64"), model, onnx_artifact.inputs, timeout_s=0.2)
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not any(str(model).encode() in command for command in commands)


CLASSES = {
    "float_mac": [
        *("fmla v0.4s, v1.4s, v2.4s", "fmls v0.2d, v1.2d, v2.2d", "fmla v0.8h, v1.8h, v2.8h"),
        *("fmla v0.4s, v1.4s, v31.s[3]", "fmls v0.2d, v1.2d, v2.d[1]", "fmla v0.8h, v1.8h, v2.h[7]"),
    ],
    "int8_dot": [
        *("sdot v0.4s, v1.16b, v2.16b", "udot v0.2s, v1.8b, v2.8b", "sdot v0.4s, v1.16b, v31.4b[3]"),
        *("usdot v0.4s, v1.16b, v2.16b", "sudot v0.4s, v1.16b, v2.4b[2]", "usdot v0.4s, v1.16b, v2.4b[1]"),
        *("smmla v0.4s, v1.16b, v2.16b", "ummla v0.4s, v1.16b, v2.16b", "usmmla v0.4s, v1.16b, v2.16b"),
    ],
    "simd_other": [
        *(
            "fadd v0.4s, v1.4s, v2.4s",
            "fmul v0.4s, v1.4s, v2.s[1]",
            "mla v0.8h, v1.8h, v2.h[1]",
            "fmadd s0, s1, s2, s3",
        ),
        *("smlal v0.8h, v1.8b, v2.8b", "sqdmulh v0.4s, v1.4s, v2.4s", "fcmla v0.4s, v1.4s, v2.4s, #0"),
        *("sqrdmlah v0.4s, v1.4s, v2.s[1]", "fmlal v0.4s, v1.4h, v2.4h", "bfdot v0.4s, v1.8h, v2.2h[1]"),
    ],
    "simd_load_store": ["ldr q0, [x1]", "ldp q0, q1, [x2]", "ld1 {v0.16b}, [x1]", "st1 {v0.4s}, [x1], #16"],
    "load_store": ["ldr x0, [x1]", "stp x0, x1, [sp, #-16]!", "ldxr x0, [x1]", "prfm pldl1keep, [x0]"],
    "integer": ["add x0, x1, x2", "add x0, x1, #3", "madd x0, x1, x2, x3", "movz x0, #0xed01", "csel x0, x1, x2, eq"],
    "branch": ["b .", "bl .", "cbz x0, .", "ret", "nop", "svc 0", "dmb ish"],
}


def test_instructions_are_counted_in_their_classes(tmp_path):
    expected = [(name, text) for name, texts in CLASSES.items() for text in texts]
    (tmp_path / "all.s").write_text("\n".join(text for _, text in expected) + "\n")
    assemble = ["aarch64-linux-gnu-as", "-march=armv8.6-a+fp16+dotprod+i8mm+bf16+fp16fml", "-o", "all.o", "all.s"]
    subprocess.run(assemble, cwd=tmp_path, check=True)
    extract = ["aarch64-linux-gnu-objcopy", "-O", "binary", "-j", ".text", "all.o", "all.bin"]
    subprocess.run(extract, cwd=tmp_path, check=True)
    assert classes_of((tmp_path / "all.bin").read_bytes(), tmp_path) == [name for name, _ in expected]


def classes_of(code: bytes, folder: Path) -> list[str]:
    """The class that the plug-in's own function gives to each instruction word."""
    source = Path(qemu.__file__).parent / "qemu_plugin" / "insnclass.c"
    program = f'#include "{source}"\nint main(void) {{ uint32_t w; while (fread(&w, 4, 1, stdin)) '
    (folder / "main.c").write_text(program + "puts(class_names[class_of(w)]); }\n")
    # The linker drops the unused functions, which call QEMU's.
    build = ["gcc", "-w", "-O1", "-ffunction-sections", "-Wl,--gc-sections", "-o", "main", "main.c"]
    subprocess.run(build, cwd=folder, check=True)
    done = subprocess.run(["./main"], cwd=folder, input=code, capture_output=True, check=True)
    return done.stdout.decode().split()
