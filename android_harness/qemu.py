"""Executed Arm instructions of one inference, under QEMU's user-mode emulation: `--device qemu[:cpu]`.

The count is a property of the artifact, the runtime and the CPU's instruction set. It does not depend on the speed or
the load of this machine and repeats almost exactly. It is no time: an emulated run's milliseconds mean nothing, and no
function here returns them.

What is counted is the fourth inference on one thread, between two markers in the runner's loop: the first ones still
allocate. Caches, branch prediction and dual issue do not exist here: two artifacts with the same count may differ
in time.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgedeploy.core.errors import RunnerFailed, UnknownName
from edgedeploy.core.parity import Array
from edgedeploy.core.storage.cache import cache_folder, key_of, locked
from edgedeploy.core.storage.files import staged_folder

from .bundles import Bundle
from .host_runner import Command, InputSets, run_locally
from .protocol import RunRequest
from .toolchain import find_program, run_tool

_PLUGIN_SOURCE = Path(__file__).parent / "qemu_plugin" / "insnclass.c"
_BASE = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
_V82 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"


@dataclass(frozen=True)
class Cpu:
    """An emulated CPU: QEMU's name, and what the runtimes look up in /proc/cpuinfo."""

    name: str
    part: int
    features: str


CPUS = {
    cpu.name: cpu
    for cpu in (
        Cpu("cortex-a53", 0xD03, _BASE),  # no dot product: int8 goes through widening multiplies
        Cpu("cortex-a72", 0xD08, _BASE),
        Cpu("cortex-a76", 0xD0B, _V82),  # SDOT and half precision, as in phones since 2018
        Cpu("neoverse-n1", 0xD0C, _V82),
    )
}
DEFAULT_CPU = "cortex-a76"


@dataclass(frozen=True)
class InstructionCount:
    """Executed A64 instructions.

    Attributes:
        cpu: the emulated one; the runtimes choose their kernels by it.
        total: of one steady inference.
        by_class: the same by class: integer, branch, load_store (X registers), simd_load_store, float_mac (vector FMLA
            and FMLS), int8_dot (SDOT and its kin), simd_other (with scalar floating point), other.
        first_inference: of the first one after loading.
        startup_and_load: from the start of the process to the first inference.
        still_moving: relative difference of the last two inferences; not 0 where a runtime still settles. A count of
            the same artifact with the same inputs repeats all the same.
    """

    cpu: str
    total: int
    by_class: dict[str, int]
    first_inference: int
    startup_and_load: int
    still_moving: float

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def count_instructions(
    bundle: Bundle, model: Path, inputs: Sequence[Array], cpu: str = DEFAULT_CPU, *, timeout_s: float = 1800
) -> InstructionCount:
    """Counts one inference with these inputs. Keep the inputs fixed: some kernels depend on the data.

    Raises UnknownName for a CPU that is not in CPUS, RunnerFailed with what is missing or went wrong.
    """
    return count_and_run(bundle, model, inputs, cpu, timeout_s=timeout_s)[0]


def count_and_run(
    bundle: Bundle, model: Path, inputs: Sequence[Array], cpu: str = DEFAULT_CPU, *, timeout_s: float = 1800
) -> tuple[InstructionCount, list[Array]]:
    """The count, and the outputs of one more inference that is not counted. Raises as `count_instructions`."""
    request = RunRequest(threads=1, warmup_runs=1, num_runs=2, max_secs=timeout_s)
    with tempfile.TemporaryDirectory(prefix="edgedeploy-qemu-") as folder:
        counts = Path(folder) / "counts.json"
        plugin = ["-plugin", str(_plugin()), "-d", "plugin", "-D", str(counts)]
        wrap = _emulator(cpu, Path(folder), plugin)
        ran = run_locally(bundle, model, [inputs], request, timeout_s=timeout_s, wrap=wrap)
        return _read_counts(counts, cpu), ran.outputs[0]


def run_emulated(
    bundle: Bundle, model: Path, input_sets: InputSets, cpu: str = DEFAULT_CPU, *, timeout_s: float = 1800
) -> list[list[Array]]:
    """The outputs of an artifact on an emulated Arm CPU, for each set of inputs. Raises as `count_instructions`."""
    request = RunRequest(threads=1, warmup_runs=0, num_runs=0, max_secs=timeout_s)
    with tempfile.TemporaryDirectory(prefix="edgedeploy-qemu-") as folder:
        wrap = _emulator(cpu, Path(folder), [])
        return run_locally(bundle, model, input_sets, request, timeout_s=timeout_s, wrap=wrap).outputs


def _emulator(cpu_name: str, folder: Path, qemu_options: list[str]) -> Callable[[Command], Command]:
    """What turns a command of an arm64 bundle into one that this machine can run.

    qemu-user shows the host's /proc/cpuinfo, on which ONNX Runtime crashes and XNNPACK refuses to start, so an Arm one
    is laid over it, in a user and mount namespace of the process alone. A network namespace without any interface
    holds everything else away.
    """
    if cpu_name not in CPUS:
        raise UnknownName("emulated CPU", cpu_name, CPUS, hint=f"one of {', '.join(CPUS)}")
    qemu = find_program("qemu-aarch64", "qemu-user", "emulating an Arm CPU")
    unshare = find_program("unshare", "util-linux", "emulating an Arm CPU")
    namespace = [unshare, "--user", "--map-root-user", "--mount", "--net", "--"]
    _check_namespaces(tuple(namespace))
    cpuinfo = folder / "cpuinfo"
    cpuinfo.write_text(_cpuinfo(CPUS[cpu_name]))
    lay_over = [*namespace, "sh", "-ec", 'mount --bind "$1" /proc/cpuinfo; shift; exec "$@"', "sh", str(cpuinfo)]
    return lambda command: [*lay_over, qemu, "-cpu", cpu_name, *qemu_options, *command]


@functools.cache
def _check_namespaces(namespace: tuple[str, ...]) -> None:
    done = subprocess.run([*namespace, "true"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RunnerFailed(
            "emulating an Arm CPU needs user namespaces, which this system does not allow",
            details=done.stderr.strip().splitlines()[-2:],
            hint="sysctl kernel.unprivileged_userns_clone=1, or in a container: --security-opt seccomp=unconfined",
        )


def _cpuinfo(cpu: Cpu) -> str:
    """Linux's /proc/cpuinfo of an Arm machine with as many cores as this one."""
    fields = {
        "BogoMIPS": "125.00",
        "Features": cpu.features,
        "CPU implementer": "0x41",
        "CPU architecture": "8",
        "CPU variant": "0x4",
        "CPU part": f"{cpu.part:#x}",
        "CPU revision": "1",
    }
    text = "".join(f"{name}\t: {value}\n" for name, value in fields.items())
    return "".join(f"processor\t: {core}\n{text}\n" for core in range(os.cpu_count() or 1))


def _plugin() -> Path:
    """The counting plug-in for this machine's QEMU, from the cache or built now."""
    compiler = find_program("gcc", "gcc", "counting instructions")
    version = run_tool([compiler, "-dumpfullversion", "-dumpmachine"], "asking the compiler").strip()
    folder = cache_folder("built") / f"insnclass-{key_of([version, _PLUGIN_SOURCE.read_text()])}"
    with locked(folder):
        if not folder.exists():
            with staged_folder(folder) as stage:
                library = str(stage / "libinsnclass.so")
                command = [
                    compiler,
                    "-std=c11",
                    "-O2",
                    "-Wall",
                    "-Wextra",
                    "-Werror",
                    "-shared",
                    "-fPIC",
                    "-o",
                    library,
                ]
                run_tool([*command, str(_PLUGIN_SOURCE)], "building the instruction counter")
    return folder / "libinsnclass.so"


def _read_counts(path: Path, cpu: str) -> InstructionCount:
    try:
        record = json.loads(path.read_text().strip().splitlines()[-1])
        inferences = record["inferences"]
        first, before, last = inferences[0], inferences[-2], inferences[-1]
        total = sum(last.values())
        difference = abs(total - sum(before.values())) / total
        return InstructionCount(cpu, total, last, sum(first.values()), sum(record["startup"].values()), difference)
    except (OSError, ValueError, LookupError, ZeroDivisionError) as error:
        raise RunnerFailed(
            "QEMU gave no instruction count",
            details=[f"{type(error).__name__}: {error}"],
            hint="a qemu-user with plug-in support, version 4.2 to 8.2: `apt-get install qemu-user` (not the static one)",
        ) from error
