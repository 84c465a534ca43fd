"""The three runtimes as native libraries: which package has them, at which version, for which ABI.

For this machine the libraries come from the installed packages; for Arm from the same packages' aarch64 wheels, which
pip downloads once into the cache and checks against the hash in the table below. (The wheels hold Python modules too;
only their plain C and C++ libraries are used, so the Python version in their names does not matter.)
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from edgedeploy.core.errors import MissingExtra, RunnerFailed
from edgedeploy.core.registry import Registry
from edgedeploy.core.storage.cache import cache_folder, locked
from edgedeploy.core.storage.files import staged_folder

from .toolchain import HOST_ABI

_ARM_PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64")


@dataclass(frozen=True)
class NativeRuntime:
    """One runtime.

    Attributes:
        name: as in the runner's `--runtime`.
        distribution: the Python package that has it.
        extra: the extra of edgedeploy that installs that package.
        version: of the Arm wheel; this machine uses the installed one.
        arm_sha256: of the Arm wheel.
        libraries: the file in the package (a glob), and its name in the bundle, which is its SONAME.
        licences: globs in the package; `{info}` is its dist-info folder.
        headers: the include folder, for the runtime that needs a plug-in.
    """

    name: str
    distribution: str
    extra: str
    version: str
    arm_sha256: str
    libraries: tuple[tuple[str, str], ...]
    licences: tuple[str, ...]
    headers: str | None = None


def _executorch(name: str) -> tuple[str, str]:
    return f"executorch/lib/lib{name}.so", f"lib{name}.so"


RUNTIMES: Registry[NativeRuntime] = Registry(
    "runtime",
    [
        NativeRuntime(
            name="onnxruntime",
            distribution="onnxruntime",
            extra="onnx",
            version="1.31.1",
            arm_sha256="da05378364c44d4407e463982d2bf8d5e4cfea873283757e48beeb41df97b7f3",
            libraries=(("onnxruntime/capi/libonnxruntime.so.*", "libonnxruntime.so.1"),),
            licences=("onnxruntime/LICENSE", "onnxruntime/ThirdPartyNotices.txt"),
        ),
        NativeRuntime(
            name="executorch",
            distribution="executorch",
            extra="executorch",
            version="1.5.1",
            arm_sha256="8ee02348a3ea80ddf770822911ebf78da616b73afce0fbaaa79f23311c88c66a",
            libraries=(
                _executorch("executorch"),
                _executorch("executorch_kernels_optimized"),
                _executorch("executorch_kernels_quantized"),
                _executorch("executorch_backend_xnnpack"),
                _executorch("executorch_threadpool"),
            ),
            licences=("{info}/licenses/LICENSE",),
            headers="executorch/include",
        ),
        NativeRuntime(
            name="litert",
            distribution="ai-edge-litert",
            extra="tflite",
            version="2.3.0",
            arm_sha256="853fc608f96da87bd5f3458465dfb9abbf18d5ae6b94eceacead407146f175ae",
            libraries=(("ai_edge_litert/libLiteRt.so", "libLiteRt.so"),),
            licences=("{info}/licenses/LICENSE",),
        ),
    ],
    lambda runtime: runtime.name,
)


@dataclass(frozen=True)
class Package:
    """A runtime's package on disk, for one ABI."""

    runtime: NativeRuntime
    version: str
    root: Path

    def _one(self, pattern: str) -> Path:
        found = sorted(self.root.glob(pattern))
        if len(found) != 1:
            raise RunnerFailed(
                f"{self.runtime.distribution} {self.version} has {len(found)} files {pattern}, one was expected",
                details=[f"in {self.root}"],
                hint=f"pip install --force-reinstall {self.runtime.distribution}=={self.runtime.version}",
            )
        return found[0]

    def libraries(self) -> dict[str, Path]:
        """The name in the bundle -> the file."""
        return {name: self._one(pattern) for pattern, name in self.runtime.libraries}

    def licences(self) -> dict[str, Path]:
        """The name in the bundle -> the file."""
        info = f"{self.runtime.distribution.replace('-', '_')}-{self.version}.dist-info"
        files = [self._one(pattern.format(info=info)) for pattern in self.runtime.licences]
        return {f"{self.runtime.name}.{file.name}": file for file in files}


def find_package(runtime: NativeRuntime, abi: str) -> Package:
    """The runtime's libraries for an ABI. Raises MissingExtra or RunnerFailed with what to install."""
    if abi != HOST_ABI:
        return Package(runtime, runtime.version, _arm_package(runtime))
    try:
        installed = metadata.distribution(runtime.distribution)
    except metadata.PackageNotFoundError:
        raise MissingExtra(runtime.extra, runtime.distribution, f"the {runtime.name} runner") from None
    return Package(runtime, installed.version, Path(str(installed.locate_file(""))))


def _arm_package(runtime: NativeRuntime) -> Path:
    folder = cache_folder("wheels") / f"{runtime.name}-{runtime.version}-arm64-{runtime.arm_sha256[:12]}"
    with locked(folder):
        if not folder.exists():
            with tempfile.TemporaryDirectory() as download:
                wheel = _download(runtime, Path(download))
                with zipfile.ZipFile(wheel) as archive, staged_folder(folder) as stage:
                    archive.extractall(stage, _wanted(runtime, archive.namelist()))
    return folder


def _wanted(runtime: NativeRuntime, names: list[str]) -> list[str]:
    """The members of a wheel that are worth keeping: libraries, headers, licences."""
    ends = (".h", ".hpp", "LICENSE", "ThirdPartyNotices.txt")
    prefixes = tuple(pattern.rstrip("*") for pattern, _ in runtime.libraries)
    return [name for name in names if name.startswith(prefixes) or (name.endswith(ends) and "/examples/" not in name)]


def _download(runtime: NativeRuntime, folder: Path) -> Path:
    requirement = f"{runtime.distribution}=={runtime.version}"
    pinned = folder / "requirements.txt"
    pinned.write_text(f"{requirement} --hash=sha256:{runtime.arm_sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--require-hashes", "--python-version=3.11", "--implementation=cp"]
    command += [f"--platform={platform}" for platform in _ARM_PLATFORMS]
    done = subprocess.run(
        [*command, f"--dest={folder}", f"--requirement={pinned}"], capture_output=True, text=True, check=False
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        raise RunnerFailed(
            f"the Arm wheel of {requirement} could not be downloaded",
            details=[line for line in done.stderr.splitlines() if line.startswith("ERROR")][-3:]
            or ["pip said nothing"],
            hint=f"a network connection, and {sys.executable} -m pip --version must work",
        )
    return wheels[0]
