"""doctor: what is installed, what is missing, and what each thing is needed for."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgedeploy.core.backends import BACKENDS, Package
from edgedeploy.core.versions import versions


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: of a package, a program, or a property of this machine.
        ok: None for something optional that is absent.
        found: its version, path or figure.
        hint: what to do where it is not ok.
        required: a failure fails the whole check-up.
    """

    name: str
    ok: bool | None
    found: str
    hint: str = ""
    required: bool = True


@dataclass(frozen=True)
class _Program:
    """A program of the Arm side, the Debian package that brings it, and what for."""

    name: str
    debian_package: str
    purpose: str


# `make setup-arm` installs them all
ARM_PROGRAMS = (
    _Program("adb", "adb", "--device adb:NAME"),
    _Program("ssh", "openssh-client", "--device ssh:user@host"),
    _Program("cmake", "cmake", "building the native runner"),
    _Program("ninja", "ninja-build", "building the native runner"),
    _Program("g++", "g++", "the runner for this machine"),
    _Program("aarch64-linux-gnu-g++", "g++-aarch64-linux-gnu", "the runner for phones and boards"),
    _Program("qemu-aarch64", "qemu-user", "--device qemu"),
)
TORCH = Package("torch", "building, rewriting and capturing networks")
MIN_FREE_BYTES = 2 * 2**30
MAX_LOAD_PER_CORE = 0.5


def run_checks(output: Path = Path("artifacts")) -> list[Check]:
    """Checks packages, programs, this machine, and the folder where artifacts go. Imports none of the packages."""
    return [
        *_packages(),
        *(_program(program) for program in ARM_PROGRAMS),
        _processor(),
        _memory(),
        _disk(output),
        _load(),
    ]


def any_failed(checks: Sequence[Check]) -> bool:
    """Whether something that is required is not ok."""
    return any(check.required and check.ok is False for check in checks)


def _packages() -> Iterator[Check]:
    installed = versions()
    yield Check("python", True, installed["python"])
    needed = [("torch", TORCH)] + [(backend.extra, package) for backend in BACKENDS for package in backend.packages]
    for extra, package in needed:
        if version := installed.get(package.name):
            yield Check(package.name, True, version)
        else:
            hint = f"pip install 'edgedeploy[{extra}]' for {package.purpose}"
            yield Check(package.name, None, "not installed", hint)


def _program(program: _Program) -> Check:
    if path := shutil.which(program.name):
        return Check(program.name, True, path)
    return Check(program.name, None, "not installed", f"apt-get install {program.debian_package}: {program.purpose}")


def _processor() -> Check:
    from edgedeploy.benchmarks.devices import describe_host

    machine = describe_host()
    return Check("processor", True, f"{machine.model}, {len(machine.cores)} cores, {machine.abi}")


def _memory() -> Check:
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return Check("free memory", None, "not available")
    enough = free > MIN_FREE_BYTES
    hint = "" if enough else "exporting needs about 2 GiB; close other programs"
    return Check("free memory", enough, f"{free / 2**30:.1f} GiB", hint)


def _disk(output: Path) -> Check:
    folder = output.resolve()
    while not folder.exists():
        folder = folder.parent
    free, writable = shutil.disk_usage(folder).free, os.access(folder, os.W_OK)
    hint = "" if free > MIN_FREE_BYTES else "less than 2 GiB are free"
    if not writable:
        hint = "not writable: --output DIR with a folder of your own"
    return Check(f"folder {folder}", not hint, f"{free / 2**30:.0f} GiB free", hint)


def _load() -> Check:
    """A busy machine slows what is measured on it, so latency is read beside this figure."""
    name = "load of the last minute"
    if platform.system() == "Windows":
        return Check(name, None, "not available", required=False)
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    busy = load > MAX_LOAD_PER_CORE * cores
    hint = "wait, or expect wide percentiles" if busy else ""
    return Check(name, not busy, f"{load:.1f} on {cores} cores", hint, required=False)
