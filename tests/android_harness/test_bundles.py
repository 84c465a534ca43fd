"""Bundles: complete, cached, with licences, and errors that name what is missing."""

from __future__ import annotations

import json
import subprocess
from importlib import metadata

import pytest

from edgedeploy.android_harness import bundles as bundle_module
from edgedeploy.android_harness import toolchain
from edgedeploy.android_harness.bundles import Bundle, build_android_bundle, build_bundle
from edgedeploy.core.backends import BY_RUNTIME
from edgedeploy.core.errors import MissingExtra, RunnerFailed, UnknownName
from edgedeploy.core.storage.cache import key_of, text_of_sources
from edgedeploy.core.storage.files import sha256_of

NAMES = BY_RUNTIME.names()


def needed_by(file) -> set[str]:
    text = subprocess.run(["readelf", "-d", file], capture_output=True, text=True, check=True).stdout
    return {line.split("[")[1].rstrip("]") for line in text.splitlines() if "(NEEDED)" in line}


@pytest.mark.parametrize("runtime", NAMES)
def test_an_arm_bundle_has_every_library_that_its_files_need(runtime):
    bundle = build_bundle(runtime, "arm64")
    present = {file.name for file in bundle.files()}
    assert {name for file in bundle.files() for name in needed_by(file)} <= present


@pytest.mark.parametrize("abi", toolchain.ABIS)
@pytest.mark.parametrize("runtime", NAMES)
def test_every_file_is_of_the_abi_and_has_the_recorded_hash(runtime, abi):
    bundle = build_bundle(runtime, abi)
    record = json.loads((bundle.folder / "bundle.json").read_text())
    assert record["files"] == {file.name: sha256_of(file) for file in bundle.files()}
    machine = {"arm64": 183, "x86-64": 62}[abi]  # ELF's e_machine
    for file in bundle.files():
        header = file.read_bytes()[:20]
        assert header[:4] == b"\x7fELF"
        assert int.from_bytes(header[18:20], "little") == machine, file.name


@pytest.mark.parametrize("runtime", NAMES)
def test_licences_lie_beside_what_they_cover(runtime):
    folder = build_bundle(runtime, "arm64").folder / "licences"
    names = {file.name for file in folder.iterdir() if file.stat().st_size > 500}
    assert f"{runtime}.LICENSE" in names
    assert {"libc6-arm64-cross.copyright", "libstdc++6-arm64-cross.copyright"} <= names


def test_a_bundle_is_started_by_its_own_loader_where_the_device_has_none():
    bundle = build_bundle("litert", "arm64")
    command = bundle.command("/data/local/tmp/e")
    assert command[0] == "/data/local/tmp/e/ld-linux-aarch64.so.1"
    assert command[1:] == ["--library-path", "/data/local/tmp/e", "/data/local/tmp/e/edgedeploy_runner"]


def test_a_second_build_comes_from_the_cache(monkeypatch):
    first = [build_bundle(runtime, "arm64").folder for runtime in NAMES]

    def no_tool(name, package, purpose):
        raise AssertionError(f"{name} was looked for again")

    monkeypatch.setattr(bundle_module, "find_program", no_tool)
    assert [build_bundle(runtime, "arm64").folder for runtime in NAMES] == first


def test_a_change_of_any_source_changes_the_name(tmp_path):
    (tmp_path / "a.cpp").write_text("int a;")
    before = key_of(text_of_sources(tmp_path))
    (tmp_path / "a.cpp").write_text("int b;")
    changed = key_of(text_of_sources(tmp_path))
    (tmp_path / "a.cpp").rename(tmp_path / "b.cpp")
    assert len({before, changed, key_of(text_of_sources(tmp_path))}) == 3


def test_a_missing_cross_compiler_is_reported_with_the_command_that_installs_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunnerFailed, match="aarch64-linux-gnu-g") as caught:
        build_bundle("litert", "arm64")
    assert "apt-get install g++-aarch64-linux-gnu" in str(caught.value.hint)


def test_a_runtime_that_is_not_installed_is_reported_with_its_extra(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    with pytest.raises(MissingExtra, match="ai-edge-litert") as caught:
        build_bundle("litert", toolchain.HOST_ABI)
    assert "edgedeploy[tflite]" in str(caught.value.hint)


def test_a_wheel_that_cannot_be_downloaded_is_reported_and_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEDEPLOY_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(RunnerFailed, match=r"Arm wheel of ai-edge-litert==2.3.0 could not be downloaded"):
        build_bundle("litert", "arm64")
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_a_wheel_of_another_content_is_refused(monkeypatch, tmp_path):
    import zipfile

    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "ai_edge_litert-2.3.0-cp311-cp311-manylinux_2_27_aarch64.whl", "w") as wheel:
        wheel.writestr("ai_edge_litert-2.3.0.dist-info/METADATA", "Name: ai-edge-litert\nVersion: 2.3.0\n")
        wheel.writestr("ai_edge_litert/libLiteRt.so", "not what its makers released")
    monkeypatch.setenv("EDGEDEPLOY_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    with pytest.raises(RunnerFailed, match="could not be downloaded") as caught:
        build_bundle("litert", "arm64")
    assert "HASHES" in " ".join(caught.value.details)


def test_unknown_names_are_reported_with_the_known_ones():
    with pytest.raises(UnknownName, match=r"onnxruntim'\. Did you mean 'onnxruntime'"):
        build_bundle("onnxruntim", "arm64")
    with pytest.raises(UnknownName, match="ABI 'riscv'"):
        build_bundle("litert", "riscv")


def test_licences_are_not_pushed_to_a_device():
    bundle = build_bundle("litert", "arm64")
    assert isinstance(bundle, Bundle)
    assert {file.suffix for file in bundle.files()}.isdisjoint({".json", ".LICENSE", ".copyright"})


def test_the_android_bundle_is_built_with_the_toolchain_file_of_the_ndk(monkeypatch, tmp_path):
    # In place of an NDK, a folder of its layout whose toolchain file names Debian's cross compiler.
    (tmp_path / "build" / "cmake").mkdir(parents=True)
    (tmp_path / "source.properties").write_text("Pkg.Desc = Android NDK\nPkg.Revision = 0.0.0\n")
    (tmp_path / "build" / "cmake" / "android.toolchain.cmake").write_text(
        "set(CMAKE_SYSTEM_NAME Linux)\nset(CMAKE_SYSTEM_PROCESSOR aarch64)\n"
        "set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)\n"
        "list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES ANDROID_ABI)\n"
        'if(NOT ANDROID_ABI STREQUAL "arm64-v8a")\n  message(FATAL_ERROR "another ABI")\nendif()\n'
    )
    library = tmp_path / "libonnxruntime.so"
    library.write_bytes(b"Android's build")
    monkeypatch.setenv("ANDROID_NDK_HOME", str(tmp_path))
    monkeypatch.setenv("EDGEDEPLOY_CACHE_DIR", str(tmp_path / "cache"))
    bundle = build_android_bundle(library, "1.29.0")
    assert bundle.command("/data/local/tmp/e") == ["/data/local/tmp/e/edgedeploy_runner"]
    assert [file.name for file in bundle.files()] == ["edgedeploy_runner", "libonnxruntime.so.1"]


def test_the_android_bundle_needs_an_ndk(monkeypatch, tmp_path):
    monkeypatch.delenv("ANDROID_NDK_HOME", raising=False)
    with pytest.raises(RunnerFailed, match="Android NDK"):
        build_android_bundle(tmp_path / "libonnxruntime.so", "1.29.0")
    monkeypatch.setenv("ANDROID_NDK_HOME", str(tmp_path))
    with pytest.raises(RunnerFailed, match="is not an NDK"):
        build_android_bundle(tmp_path / "libonnxruntime.so", "1.29.0")
