"""doctor: what is installed, what is missing, and what each thing is needed for."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgedeploy.core.versions import versions


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        ok: True, False, or None where it is optional and absent.
        hint: what to do when it is not there.
    """

    name: str
    ok: bool | None
    value: str
    hint: str = ""

    def to_json(self) -> dict[str, Any]:
        """As `doctor --json` prints it."""
        return asdict(self)


# package -> (extra that brings it, what it is for)
NEEDS = {
    "torch": ("torch", "building, rewriting and capturing networks"),
    "onnx": ("onnx", "targets onnx-*"),
    "onnxscript": ("onnx", "targets onnx-*"),
    "onnxsim": ("onnx", "targets onnx-*"),
    "onnxruntime": ("onnx", "running targets onnx-*"),
    "executorch": ("executorch", "targets executorch-*"),
    "torchao": ("executorch", "targets executorch-*"),
    "litert-torch": ("tflite", "targets tflite-*"),
    "ai-edge-quantizer": ("tflite", "targets tflite-* but fp32"),
    "ai-edge-litert": ("tflite", "running targets tflite-*"),
}
# program -> (Debian package that brings it, what it is for); `make setup-arm` installs them all
ARM_TOOLS = {
    "adb": ("apt-get install adb", "--device adb:NAME"),
    "ssh": ("apt-get install openssh-client", "--device ssh:user@host"),
    "cmake": ("apt-get install cmake", "building the native runner"),
    "ninja": ("apt-get install ninja-build", "building the native runner"),
    "g++": ("apt-get install g++", "the runner for this machine"),
    "aarch64-linux-gnu-g++": ("apt-get install g++-aarch64-linux-gnu", "the runner for phones and boards"),
    "qemu-aarch64": ("apt-get install qemu-user", "--device qemu"),
}
LEAST_FREE_BYTES = 2 * 2**30


def examine(output: Path = Path("artifacts")) -> list[Finding]:
    """Looks at packages, the machine, and the place where artifacts go."""
    installed = versions()
    found = [Finding("python", True, installed["python"])]
    for package, (extra, purpose) in NEEDS.items():
        version = installed.get(package)
        hint = "" if version else f"pip install 'edgedeploy[{extra}]' for {purpose}"
        found.append(Finding(package, True if version else None, version or "not installed", hint))
    found += [_arm_tool(program, *need) for program, need in ARM_TOOLS.items()]
    found += [_cpu(), _memory(), _disk(output), _load()]
    return found


def _arm_tool(program: str, package: str, purpose: str) -> Finding:
    path = shutil.which(program)
    return Finding(program, True if path else None, path or "not installed", "" if path else f"{package}: {purpose}")


def _cpu() -> Finding:
    from edgedeploy.benchmarks.devices import describe_host

    machine = describe_host()
    return Finding("processor", True, f"{machine.model}, {len(machine.cores)} cores, {machine.abi}")


def _memory() -> Finding:
    try:
        pages, size = os.sysconf("SC_AVPHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return Finding("memory", None, "not available")
    free = pages * size
    return Finding(
        "free memory", free > LEAST_FREE_BYTES, f"{free / 2**30:.1f} GiB",
        "" if free > LEAST_FREE_BYTES else "exporting needs about 2 GiB; close other programs",
    )  # fmt: skip


def _disk(output: Path) -> Finding:
    place = output.resolve()
    while not place.exists():
        place = place.parent
    free, writable = shutil.disk_usage(place).free, os.access(place, os.W_OK)
    hint = "" if writable else "--output DIR with a folder of your own"
    if writable and free < LEAST_FREE_BYTES:
        hint = "less than 2 GiB are free"
    return Finding(f"folder {place}", writable and free > LEAST_FREE_BYTES, f"{free / 2**30:.0f} GiB free", hint)


def _load() -> Finding:
    """A busy machine measures its other work: latency is read beside this figure."""
    if platform.system() == "Windows":
        return Finding("load", None, "not available")
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    busy = load > 0.5 * cores
    return Finding(
        "load of the last minute",
        not busy,
        f"{load:.1f} on {cores} cores",
        "wait, or expect wide percentiles" if busy else "",
    )
