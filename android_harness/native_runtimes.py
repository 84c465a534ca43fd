"""The runtimes' native libraries on disk: `edgedeploy.core.backends` lists which package has them, at which version.

For this machine the libraries come from the installed packages. For Arm they come from the same packages' aarch64
wheels, which pip downloads once into the cache and verifies against the hash in that table. (The wheels hold Python
modules too; only their C and C++ libraries are used, so the Python version in their names does not matter.)
"""

from __future__ import annotations

import subprocess
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from edgedeploy.core.backends import Backend, NativeLibraries
from edgedeploy.core.child_processes import child_environment, installed_module_command, interpreter
from edgedeploy.core.errors import MissingExtra, RunnerFailed
from edgedeploy.core.storage.cache import cache_folder, locked
from edgedeploy.core.storage.files import private_folder, staged_folder

from .toolchain import HOST_ABI

_ARM_PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64")


@dataclass(frozen=True)
class RuntimePackage:
    """A runtime's package on disk, for one ABI.

    Attributes:
        runtime: as the runner's `--runtime` takes it.
        native: which of the package's files are used.
        version: of the package.
        root: the folder that the paths in `native` are relative to.
    """

    runtime: str
    native: NativeLibraries
    version: str
    root: Path

    def libraries(self) -> dict[str, Path]:
        """The libraries, by their names in a bundle. Raises RunnerFailed where the package lacks one."""
        return {name: self._find(pattern) for pattern, name in self.native.libraries}

    def licences(self) -> dict[str, Path]:
        """The licence files, by their names in a bundle. Raises RunnerFailed where the package lacks one."""
        info = f"{self.native.distribution.replace('-', '_')}-{self.version}.dist-info"
        files = [self._find(pattern.format(info=info)) for pattern in self.native.licences]
        return {f"{self.runtime}.{file.name}": file for file in files}

    def _find(self, pattern: str) -> Path:
        found = sorted(self.root.glob(pattern))
        if len(found) != 1:
            distribution = self.native.distribution
            raise RunnerFailed(
                f"{distribution} {self.version} has {len(found)} files {pattern}, one was expected",
                details=[f"in {self.root}"],
                hint=f"pip install --force-reinstall {distribution}=={self.native.version}",
            )
        return found[0]


def find_package(backend: Backend, abi: str) -> RuntimePackage:
    """The runtime's libraries for an ABI. Raises MissingExtra or RunnerFailed with what to install."""
    native = backend.native
    if abi != HOST_ABI:
        return RuntimePackage(backend.runtime, native, native.version, _arm_package(backend.runtime, native))
    try:
        installed = metadata.distribution(native.distribution)
    except metadata.PackageNotFoundError:
        raise MissingExtra(backend.extra, native.distribution, f"the {backend.runtime} runner") from None
    return RuntimePackage(backend.runtime, native, installed.version, Path(str(installed.locate_file(""))))


def _arm_package(runtime: str, native: NativeLibraries) -> Path:
    folder = cache_folder("wheels") / f"{runtime}-{native.version}-arm64-{native.arm_sha256[:12]}"
    with locked(folder):
        if not folder.exists():
            with private_folder() as download:
                wheel = _download(native, download)
                with zipfile.ZipFile(wheel) as archive, staged_folder(folder) as stage:
                    archive.extractall(stage, _needed_members(native, archive.namelist()))
    return folder


def _needed_members(native: NativeLibraries, names: list[str]) -> list[str]:
    """The members of a wheel that are kept: libraries, headers, licences."""
    ends = (".h", ".hpp", "LICENSE", "ThirdPartyNotices.txt")
    prefixes = tuple(pattern.rstrip("*") for pattern, _ in native.libraries)
    return [name for name in names if name.startswith(prefixes) or (name.endswith(ends) and "/examples/" not in name)]


def _download(native: NativeLibraries, folder: Path) -> Path:
    requirement = f"{native.distribution}=={native.version}"
    pinned = folder / "requirements.txt"
    pinned.write_text(f"{requirement} --hash=sha256:{native.arm_sha256}\n", encoding="utf-8")
    command = installed_module_command("pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps")
    command += ["--only-binary=:all:", "--require-hashes", "--python-version=3.11", "--implementation=cp"]
    command += [f"--platform={platform}" for platform in _ARM_PLATFORMS]
    done = subprocess.run(
        [*command, f"--dest={folder}", f"--requirement={pinned}"],
        capture_output=True,
        text=True,
        errors="replace",
        env=child_environment(),
        check=False,
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        raise RunnerFailed(
            f"the Arm wheel of {requirement} could not be downloaded",
            details=[line for line in done.stderr.splitlines() if line.startswith("ERROR")][-3:]
            or ["pip printed no error"],
            hint=f"a network connection, and {interpreter()} -m pip --version must work",
        )
    return wheels[0]
