"""Bundles: one self-contained folder per runtime and ABI, with the runner in it.

A phone has no glibc. The arm64 bundle therefore brings the loader and the C and C++ libraries of the cross compiler, and
runs from any folder of any arm64 Linux kernel:

    ./ld-linux-aarch64.so.1 --library-path . ./edgedeploy_runner --runtime ...

The x86-64 bundle is for `--device local` and uses this machine's C library. Folders are named by a hash of what they are
made from (the runner's sources, the runtime's version and hash, the compiler's version), so a bundle is never stale and
never built twice.

For ONNX Runtime there is a second way: its own Android build and the NDK (`build_android_bundle`). No NDK is installed
where the project's tests run, so they cover how the NDK is called and not its result.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgedeploy.core.backends import BY_RUNTIME
from edgedeploy.core.errors import RunnerFailed
from edgedeploy.core.storage.cache import cache_folder, key_of, locked, text_of_sources
from edgedeploy.core.storage.files import output_errors, private_folder, sha256_of, staged_folder
from edgedeploy.core.storage.json_records import write_record

from .native_runtimes import RuntimePackage, find_package
from .toolchain import ANDROID_ABI, HOST_ABI, Compiler, find_compiler, find_ndk, find_program, run_tool

RUNNER = "edgedeploy_runner"
PLUGIN = "libedgedeploy_executorch.so"
_SOURCES = Path(__file__).parent / "runner"
_LOADER = "ld-linux-aarch64.so.1"
_C_LIBRARIES = (
    _LOADER,
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "libgcc_s.so.1",
    "libstdc++.so.6",
)
# Debian keeps the licences of those libraries with these packages.
_C_LICENCES = ("libc6-arm64-cross", "libgcc-s1-arm64-cross", "libstdc++6-arm64-cross")


@dataclass(frozen=True)
class BundleRecord:
    """`bundle.json`: what a bundle was made from.

    Attributes:
        compiler: name and target of the compiler.
        licences: file names in the folder `licences`.
        files: name -> SHA-256.
    """

    schema_version: int = field(default=1, kw_only=True)
    runtime: str
    runtime_version: str
    abi: str
    compiler: str
    licences: tuple[str, ...]
    files: Mapping[str, str]


@dataclass(frozen=True)
class Bundle:
    """A folder that runs models of one runtime on one ABI.

    Attributes:
        runtime: "onnxruntime", "executorch", "litert", or "null" for the runner alone.
        abi: "arm64", "x86-64", or "arm64-android".
        version: of the runtime; "" for null.
        folder: where it is on this machine.
    """

    runtime: str
    abi: str
    version: str
    folder: Path

    def files(self) -> list[Path]:
        """The files that a device needs: all but the licences and the record, in a fixed order."""
        return sorted(file for file in self.folder.iterdir() if file.is_file() and file.suffix != ".json")

    def command(self, folder: str | Path | None = None) -> list[str]:
        """The command that starts the runner, without its arguments, from a bundle in `folder` (default: this one)."""
        at = str(self.folder if folder is None else folder)
        if self.abi in (HOST_ABI, ANDROID_ABI):
            return [f"{at}/{RUNNER}"]
        return [f"{at}/{_LOADER}", "--library-path", at, f"{at}/{RUNNER}"]


def build_bundle(runtime: str, abi: str) -> Bundle:
    """The bundle of a runtime (or of "null", the runner alone) for an ABI, built unless it is in the cache.

    Raises UnknownName, MissingExtra, or RunnerFailed with what to install.
    """
    compiler = find_compiler(abi)
    if runtime == "null":
        return _assemble(compiler, None, [_built_program(compiler)])
    backend = BY_RUNTIME[runtime]
    package = find_package(backend, abi)
    built = [_built_program(compiler)]
    if backend.native.headers is not None:
        built.append(_built_plugin(compiler, package))
    return _assemble(compiler, package, built)


def build_android_bundle(library: Path, version: str) -> Bundle:
    """ONNX Runtime's own Android build with a runner made by the NDK in $ANDROID_NDK_HOME; for API level 24 and newer.

    Untested with a real NDK.

    Args:
        library: `jni/arm64-v8a/libonnxruntime.so` out of the archive (.aar) of ONNX Runtime's Android release.
        version: of that release.
    """
    compiler = find_ndk()
    if not library.is_file():
        raise RunnerFailed(
            f"the library {library} does not exist", hint="give jni/arm64-v8a/libonnxruntime.so of the .aar archive"
        )
    program = _built(compiler, RUNNER, ["-DANDROID_STL=c++_static"], [])
    key = key_of(["onnxruntime", version, sha256_of(library), str(program)])
    folder = cache_folder("bundles") / f"onnxruntime-{compiler.abi}-{key}"
    bundle = Bundle("onnxruntime", compiler.abi, version, folder)
    with locked(folder):
        if not folder.exists():
            with staged_folder(folder) as stage, output_errors(folder):
                files = {RUNNER: program, "libonnxruntime.so.1": library}
                _write(stage, bundle, compiler, files, {})
    return bundle


def _built_program(compiler: Compiler) -> Path:
    return _built(compiler, RUNNER, [], [])


def _built_plugin(compiler: Compiler, package: RuntimePackage) -> Path:
    options = [f"-DEXECUTORCH_ROOT={package.root / 'executorch'}", f"-DEXECUTORCH_VERSION={package.version}"]
    return _built(compiler, PLUGIN, options, [package.version])


def _built(compiler: Compiler, product: str, options: list[str], more_key: list[str]) -> Path:
    """One product of runner/CMakeLists.txt, from the cache or made now."""
    key = key_of([product, compiler.version, *more_key, *text_of_sources(_SOURCES, "**/*")])
    folder = cache_folder("built") / f"{product}-{compiler.abi}-{key}"
    with locked(folder):
        if not folder.exists():
            cmake = find_program("cmake", "cmake", "building the runner")
            find_program("ninja", "ninja-build", "building the runner")
            with private_folder() as build, staged_folder(folder) as stage:
                configure = [cmake, "-S", str(_SOURCES), "-B", str(build), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"]
                run_tool([*configure, *compiler.cmake_options, *options], "configuring the runner")
                run_tool([cmake, "--build", str(build)], f"building {product} for {compiler.abi}")
                shutil.copy2(build / product, stage / product)
    return folder / product


def _assemble(compiler: Compiler, package: RuntimePackage | None, built: list[Path]) -> Bundle:
    runtime, version = (package.runtime, package.version) if package else ("null", "")
    arm_sha256 = package.native.arm_sha256 if package and compiler.abi != HOST_ABI else ""
    key = key_of([runtime, version, arm_sha256, compiler.version, *(str(path) for path in built)])
    bundle = Bundle(runtime, compiler.abi, version, cache_folder("bundles") / f"{runtime}-{compiler.abi}-{key}")
    with locked(bundle.folder):
        if not bundle.folder.exists():
            with staged_folder(bundle.folder) as stage, output_errors(bundle.folder):
                _fill(stage, bundle, compiler, package, built)
    return bundle


def _fill(stage: Path, bundle: Bundle, compiler: Compiler, package: RuntimePackage | None, built: list[Path]) -> None:
    files = {path.name: path for path in built}
    licences: dict[str, Path] = {}
    if package is not None:
        files |= package.libraries()
        licences |= package.licences()
    if bundle.abi != HOST_ABI:
        files |= {name: compiler.library(name) for name in _C_LIBRARIES}
        documents = {f"{name}.copyright": Path("/usr/share/doc") / name / "copyright" for name in _C_LICENCES}
        licences |= {name: file for name, file in documents.items() if file.exists()}
    _write(stage, bundle, compiler, files, licences)


def _write(stage: Path, bundle: Bundle, compiler: Compiler, files: dict[str, Path], licences: dict[str, Path]) -> None:
    (stage / "licences").mkdir()
    for name, file in files.items():
        shutil.copyfile(file, stage / name)
        (stage / name).chmod(0o755)
    for name, file in licences.items():
        shutil.copyfile(file, stage / "licences" / name)
    record = BundleRecord(
        runtime=bundle.runtime,
        runtime_version=bundle.version,
        abi=bundle.abi,
        compiler=compiler.version,
        licences=tuple(sorted(licences)),
        files={name: sha256_of(stage / name) for name in sorted(files)},
    )
    write_record(stage / "bundle.json", record)
