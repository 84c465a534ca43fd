"""Finds the compilers and build tools, and reports what to install where one is missing."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from edgedeploy.core.child_processes import child_environment
from edgedeploy.core.errors import RunnerFailed, UnknownName

ABIS = ("arm64", "x86-64")
ANDROID_ABI = "arm64-android"  # with Android's C library; built with the NDK only
HOST_ABI = {"x86_64": "x86-64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())

_CROSS_COMPILERS = {"arm64": ("aarch64-linux-gnu-g++", "g++-aarch64-linux-gnu"), "x86-64": ("g++", "g++")}


def find_program(name: str, package: str, purpose: str) -> str:
    """The path of a program. Raises RunnerFailed with the line that installs it."""
    path = shutil.which(name)
    if path is None:
        raise RunnerFailed(
            f"{purpose} needs the program '{name}', which is not installed",
            hint=f"sudo apt-get install {package}  (`make setup-arm` installs all that the Arm side needs)",
        )
    return path


def run_tool(command: list[str], purpose: str) -> str:
    """Runs a build tool and returns what it printed. Raises RunnerFailed with its last lines."""
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", env=child_environment(), check=False
    )
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise RunnerFailed(
            f"{purpose} failed: {Path(command[0]).name} ended with {done.returncode}", details=lines[-12:]
        )
    return done.stdout


@dataclass(frozen=True)
class Compiler:
    """A C++ compiler for one ABI.

    Attributes:
        abi: what it compiles for.
        path: the program; for the NDK its CMake toolchain file.
        version: names the compiler and its target.
        cmake_options: what CMake needs to use it.
    """

    abi: str
    path: str
    version: str
    cmake_options: tuple[str, ...]

    def library(self, name: str) -> Path:
        """A library of the compiler's own C or C++ library set, by file name."""
        file = Path(run_tool([self.path, f"-print-file-name={name}"], f"finding {name}").strip())
        if not file.is_absolute() or not file.exists():
            raise RunnerFailed(
                f"the compiler {self.path} has no {name}", hint=f"sudo apt-get install {_CROSS_COMPILERS[self.abi][1]}"
            )
        return file.resolve()


def find_compiler(abi: str) -> Compiler:
    """The compiler for an ABI: the machine's own g++, or Debian's cross compiler."""
    if abi not in ABIS:
        raise UnknownName("ABI", abi, ABIS, hint=f"one of {', '.join(ABIS)}")
    name, package = ("g++", "g++") if abi == HOST_ABI else _CROSS_COMPILERS[abi]
    path = find_program(name, package, f"building the runner for {abi}")
    version = run_tool([path, "-dumpfullversion"], "asking the compiler").strip()
    target = run_tool([path, "-dumpmachine"], "asking the compiler").strip()
    options = [f"-DCMAKE_CXX_COMPILER={path}"]
    if abi != HOST_ABI:
        options += ["-DCMAKE_SYSTEM_NAME=Linux", f"-DCMAKE_SYSTEM_PROCESSOR={target.split('-')[0]}"]
    return Compiler(abi, path, f"{version} {target}", tuple(options))


def find_ndk() -> Compiler:
    """Android's own compiler, where $ANDROID_NDK_HOME is set. Raises RunnerFailed where it is not set, or is not an NDK."""
    home = os.environ.get("ANDROID_NDK_HOME")
    if not home:
        raise RunnerFailed(
            "building for Android's own C library needs the Android NDK",
            hint="set ANDROID_NDK_HOME to its folder; the bundle of --abi arm64 needs no NDK",
        )
    toolchain = Path(home) / "build" / "cmake" / "android.toolchain.cmake"
    properties = Path(home) / "source.properties"
    if not toolchain.exists() or not properties.exists():
        raise RunnerFailed(
            f"ANDROID_NDK_HOME={home} is not an NDK", details=[f"{toolchain} or {properties} is missing"]
        )
    options = [f"-DCMAKE_TOOLCHAIN_FILE={toolchain}", "-DANDROID_ABI=arm64-v8a", "-DANDROID_PLATFORM=android-24"]
    return Compiler(
        ANDROID_ABI, str(toolchain), " ".join(properties.read_text(encoding="utf-8").split()), tuple(options)
    )
