"""The two libraries of the instruction counter, from the cache or built now.

insnclass.c    a plug-in of QEMU, for this machine: it counts the emulated instructions
guest_clock.c  preloaded into the emulated program: its time is that count
"""

from __future__ import annotations

from pathlib import Path

from edgedeploy.core.storage.cache import cache_folder, key_of, locked, text_of_sources
from edgedeploy.core.storage.files import staged_folder

from .toolchain import find_program, run_tool

_SOURCES = Path(__file__).parent / "qemu_plugin"


def instruction_counter() -> Path:
    """The counting plug-in for this machine's QEMU. Raises RunnerFailed."""
    return _built(find_program("gcc", "gcc", "counting instructions"), "insnclass.c")


def guest_clock() -> Path:
    """The clock for emulated arm64 programs. Raises RunnerFailed."""
    compiler = find_program("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu", "counting the instructions of operators")
    return _built(compiler, "guest_clock.c")


def _built(compiler: str, source: str) -> Path:
    """The shared library of one source file."""
    version = run_tool([compiler, "-dumpfullversion", "-dumpmachine"], "asking the compiler").strip()
    name = Path(source).stem
    folder = cache_folder("built") / f"{name}-{key_of([version, source, *text_of_sources(_SOURCES)])}"
    library = f"lib{name}.so"
    with locked(folder):
        if not folder.exists():
            with staged_folder(folder) as stage:
                options = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
                build = [compiler, *options, "-o", str(stage / library), str(_SOURCES / source)]
                run_tool(build, f"building {library}")
    return folder / library
