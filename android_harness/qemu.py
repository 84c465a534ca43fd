"""Executed Arm instructions of one inference, under QEMU's user-mode emulation: `--device qemu[:cpu]`.

The count is a property of the artifact, the runtime and the CPU's instruction set. It does not depend on the speed or
the load of this machine and repeats almost exactly. It is not a time: an emulated run's milliseconds mean nothing, and
no function here returns them.

What is counted is the fourth inference on one thread, between two markers in the runner's loop: the first ones still
allocate. Caches, branch prediction and dual issue do not exist here: two artifacts with the same count may differ
in time.
"""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgedeploy.core.errors import RunnerFailed, UnknownName
from edgedeploy.core.measurement import InstructionCount
from edgedeploy.core.parity import Array
from edgedeploy.core.storage.files import private_folder
from edgedeploy.core.storage.json_records import RecordInvalid, decode

from .bundles import Bundle
from .host_runner import Command, HostRunOptions, run_on_host
from .protocol import RunRequest
from .qemu_libraries import instruction_counter
from .toolchain import find_program

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
class CountedRun:
    """The instruction count, without what needs the network's MACs, and the outputs of one more inference."""

    instructions: InstructionCount
    outputs: list[Array]


def count_instructions(
    bundle: Bundle, model: Path, inputs: Sequence[Array], cpu: str = DEFAULT_CPU, *, timeout_s: float = 1800
) -> CountedRun:
    """Counts one inference with these inputs. Keep the inputs fixed: some kernels depend on the data.

    Raises UnknownName for a CPU that is not in CPUS, RunnerFailed with what is missing or went wrong.
    """
    request = RunRequest(threads=1, warmup_runs=1, num_runs=2, max_secs=timeout_s)
    with private_folder() as folder:
        counts = folder / "counts.json"
        options = HostRunOptions(timeout_s=timeout_s, wrap=emulator(cpu, folder, counts))
        run = run_on_host(bundle, model, [inputs], request, options)
        return CountedRun(_instruction_count(read_counts(counts), cpu), run.outputs[0])


def emulator(
    cpu_name: str, folder: Path, counts: Path, plugin_options: Sequence[str] = (), environment: Sequence[str] = ()
) -> Callable[[Command], Command]:
    """A function that turns a command of an arm64 bundle into one for this machine, which writes its counts to a file.

    Args:
        folder: a temporary one, for what the emulated system shows.
        plugin_options: `name=value` for the counting plug-in.
        environment: `NAME=value` for the emulated program alone.

    qemu-user shows the host's /proc/cpuinfo, on which ONNX Runtime crashes and XNNPACK refuses to start, so an Arm one
    is mounted over it, in a user and mount namespace of the process alone. A network namespace without any interface
    keeps the process off the network.
    """
    if cpu_name not in CPUS:
        raise UnknownName("emulated CPU", cpu_name, CPUS, hint=f"one of {', '.join(CPUS)}")
    qemu = find_program("qemu-aarch64", "qemu-user", "emulating an Arm CPU")
    unshare = find_program("unshare", "util-linux", "emulating an Arm CPU")
    namespace = [unshare, "--user", "--map-root-user", "--mount", "--net", "--"]
    _check_namespaces(tuple(namespace))
    cpuinfo = folder / "cpuinfo"
    cpuinfo.write_text(_cpuinfo(CPUS[cpu_name]))
    overlaid = [*namespace, "sh", "-ec", 'mount --bind "$1" /proc/cpuinfo; shift; exec "$@"', "sh", str(cpuinfo)]
    plugin = ",".join(part.replace(",", ",,") for part in (str(instruction_counter()), *plugin_options))
    emulated = [qemu, "-cpu", cpu_name, "-plugin", plugin, "-d", "plugin", "-D", str(counts)]
    variables = [argument for variable in environment for argument in ("-E", variable)]
    return lambda command: [*overlaid, *emulated, *variables, *command]


@functools.cache
def _check_namespaces(namespace: tuple[str, ...]) -> None:
    done = subprocess.run([*namespace, "true"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RunnerFailed(
            "emulating an Arm CPU needs user namespaces, which this system does not allow",
            details=done.stderr.strip().splitlines()[-2:],
            hint="sysctl kernel.unprivileged_userns_clone=1, on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0, "
            "or in a container: --security-opt seccomp=unconfined",
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


@dataclass(frozen=True)
class PluginCounts:
    """What the plug-in writes: instructions by class, before the first inference and in each."""

    startup: Mapping[str, int]
    inferences: tuple[Mapping[str, int], ...]


def read_counts(path: Path) -> PluginCounts:
    """What the plug-in wrote, of two inferences or more. Raises RunnerFailed where that is missing."""
    try:
        counts = decode(path.read_bytes().strip().splitlines()[-1], PluginCounts)
        if len(counts.inferences) < 2 or not sum(counts.inferences[-1].values()):
            raise LookupError(f"it has {len(counts.inferences)} inferences")
        return counts
    except (OSError, RecordInvalid, LookupError) as error:
        raise RunnerFailed(
            "QEMU gave no instruction count",
            details=[f"{type(error).__name__}: {error}"],
            hint="a qemu-user with plug-in support, version 4.2 to 8.2: `apt-get install qemu-user` (not the static one)",
        ) from error


def _instruction_count(counts: PluginCounts, cpu: str) -> InstructionCount:
    first, before, last = counts.inferences[0], counts.inferences[-2], counts.inferences[-1]
    total = sum(last.values())
    return InstructionCount(
        cpu=cpu,
        total=total,
        by_class=last,
        first_inference=sum(first.values()),
        startup_and_load=sum(counts.startup.values()),
        last_change=abs(total - sum(before.values())) / total,
    )
