"""Builds the emulated phone: three static aarch64 programs and the root folder that holds them.

Each part is cached, named by a hash of all that went into it: this project's own files, the sources' versions, the
compiler. A warm cache needs no network, and a changed script does not recompile adbd.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

from edgedeploy.core.storage.cache import cache_folder, key_of, locked
from edgedeploy.core.storage.files import staged_folder

from .sources import VERSIONS, fetch_source
from .tools import call, require_tools

HERE = Path(str(resources.files(__package__)))
CROSS = "aarch64-linux-gnu-"
BUILD_TOOLS = ["apt-get", "dpkg-source", f"{CROSS}g++", f"{CROSS}gcc", f"{CROSS}strip", "gcc", "make"]

# adbd is written for clang and Android's build system; gcc on Linux needs these flags. ADB_HOST=0 makes it the daemon.
ADBD_FLAGS = shlex.split(
    """
    -std=gnu++2a -O2 -fno-strict-aliasing -fcommon -w -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DADB_HOST=0
    -DALLOW_ADBD_ROOT=1 -DALLOW_ADBD_NO_AUTH -DADB_VERSION='"29.0.6"' -DPLATFORM_TOOLS_VERSION='"29.0.6"'
    -DFAKE_LOG_DEVICE=1 -DLIBLOG_LOG_TAG=1006 -DSNET_EVENT_LOG_TAG=1397638484
    -include limits.h -include string -include memory
    """
)
ADBD_INCLUDES = shlex.split(
    """
    adb adb/daemon/include adb/adbconnection/include base/include include libcutils/include liblog/include
    diagnose_usb/include libasyncio/include libcrypto_utils/include
    """
)

# Applets of toybox that need crypt(3), which the emulated phone does not have.
TOYBOX_WITHOUT = ("MKPASSWD", "SU", "LOGIN", "PASSWD")

# The folders of Android's layout that the root folder holds; the others are mounted when the phone boots.
FOLDERS = ("system/lib64", "vendor", "data", "proc", "sys", "dev", "mnt", "tmp", "root")
LINKS = {"bin": "system/bin", "etc": "system/etc"}


def phone_cache() -> Path:
    """The cache folder for the root folder, its parts and their sources."""
    return cache_folder("phone")


def phone_root() -> Path:
    """Where the root folder of the present recipe is, or will be."""
    return phone_cache() / f"root-{_root_key()}"


def build_emulated_phone(report: Callable[[str], None] = lambda line: None) -> Path:
    """The emulated phone's root folder, built if it is not in the cache; `report` receives a line per step.

    Raises DeviceError where a tool is missing or a step fails.
    """
    root = phone_root()
    if root.exists():
        return root
    require_tools(BUILD_TOOLS, "building the emulated phone")
    with locked(phone_cache() / "build"):  # of two processes that find an empty cache, one builds and the other waits
        if root.exists():
            return root
        adbd = _part("adbd", _adbd_key(), _build_adbd, report)
        mksh = _part("mksh", key_of([VERSIONS["mksh"], _compiler()]), _build_mksh, report)
        toybox = _part("toybox", key_of([VERSIONS["toybox"], _compiler(), *TOYBOX_WITHOUT]), _build_toybox, report)
        with staged_folder(root) as stage:
            _lay_out(stage, adbd=adbd, mksh=mksh, toybox=toybox)
        for package, version in VERSIONS.items():  # half a gigabyte that only a changed recipe needs again
            shutil.rmtree(phone_cache() / f"{package}-{version}", ignore_errors=True)
        shutil.rmtree(phone_cache() / "download", ignore_errors=True)
    return root


# --- parts -----------------------------------------------------------------------------------------------------------


def _part(name: str, key: str, make: Callable[[Path], None], report: Callable[[str], None]) -> Path:
    """The program `name` out of the cache, or made by `make(program)`."""
    folder = phone_cache() / f"{name}-{key}"
    if not folder.exists():
        report(f"building {name} for aarch64")
        with staged_folder(folder) as stage:
            make(stage / name)
    return folder / name


def _build_adbd(program: Path) -> None:
    core = fetch_source("android-platform-tools", phone_cache()) / "system" / "core"
    work = program.parent
    log = work.with_name("adbd.log")
    (work / "generated" / "android-base").mkdir(parents=True)
    # clang's thread-safety attributes mean nothing to gcc: the same header with them compiled away.
    annotations = (core / "base/include/android-base/thread_annotations.h").read_text()
    (work / "generated/android-base/thread_annotations.h").write_text(annotations.replace("__attribute__((x))", ""))

    includes = [work / "generated", HERE / "adbd" / "shims", *(core / folder for folder in ADBD_INCLUDES)]
    flags: list[str | Path] = [
        *ADBD_FLAGS,
        "-include",
        core / "libcutils/include/private/fs_config.h",
        *(f"-I{path}" for path in includes),
    ]
    sources = [core / line for line in _source_list()] + [HERE / "adbd" / "entry.cpp"]
    objects = [work / f"{number}-{source.stem}.o" for number, source in enumerate(sources)]

    def compile_one(source: Path, target: Path) -> None:
        renamed = ["-Dmain=android_adbd_main"] if source == core / "adb/daemon/main.cpp" else []
        call([f"{CROSS}g++", *flags, *renamed, "-c", "-o", target, source], log=log)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_one, sources, objects))
    libraries = ["-lpthread", "-lutil", "-lresolv"]
    call([f"{CROSS}g++", "-static", "-s", "-Wl,--wrap=listen", "-o", program, *objects, *libraries], log=log)
    _keep_only(program)


def _build_mksh(program: Path) -> None:
    source = fetch_source("mksh", phone_cache())
    work = program.parent
    settings = {"CC": f"{CROSS}gcc", "CFLAGS": "-O2", "LDFLAGS": "-static", "TARGET_OS": "Linux"}
    log = work.with_name("mksh.log")
    call(["sh", source / "Build.sh", "-r"], cwd=work, environment=settings, log=log)
    call([f"{CROSS}strip", program], log=log)
    _keep_only(program)


def _build_toybox(program: Path) -> None:
    source = fetch_source("toybox", phone_cache())
    log = program.parent.with_name("toybox.log")
    # Its build works only in its own source folder.
    call(["make", "distclean"], cwd=source, log=log)
    call(["make", "defconfig", "CC=gcc", "HOSTCC=gcc"], cwd=source, log=log)
    config = (source / ".config").read_text()
    for applet in TOYBOX_WITHOUT:
        config = config.replace(f"CONFIG_{applet}=y", f"# CONFIG_{applet} is not set")
    (source / ".config").write_text(config)
    cross = [f"CROSS_COMPILE={CROSS}", "CC=gcc", "HOSTCC=gcc", "LDFLAGS=--static", "CFLAGS=-O2"]
    call(["make", f"-j{os.cpu_count()}", *cross, "toybox"], cwd=source, log=log)
    (source / "toybox").rename(program)


def _lay_out(root: Path, *, adbd: Path, mksh: Path, toybox: Path) -> None:
    """Fills the root folder: the project's own few files, the three programs, and a link for each tool."""
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True)
    own = HERE / "root"
    for path in sorted(own.rglob("*")):
        target = root / path.relative_to(own)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.write_bytes(path.read_bytes())
    programs = root / "system" / "bin"
    for program in (adbd, mksh, toybox):
        (programs / program.name).write_bytes(program.read_bytes())
    for path in programs.iterdir():
        path.chmod(0o755)
    (programs / "sh").symlink_to("mksh")
    for tool in _tools_of(toybox):
        if not (programs / tool).exists():
            (programs / tool).symlink_to("toybox")
    for link, destination in LINKS.items():
        (root / link).symlink_to(destination)


def _tools_of(toybox: Path) -> list[str]:
    """The tools that toybox contains."""
    require_tools(["qemu-aarch64-static"], "building the emulated phone")
    return subprocess.run(["qemu-aarch64-static", toybox], capture_output=True, text=True, check=True).stdout.split()


# --- keys ------------------------------------------------------------------------------------------------------------


def _compiler() -> str:
    require_tools([f"{CROSS}gcc"], "building the emulated phone")
    return subprocess.run([f"{CROSS}gcc", "-dumpfullversion"], capture_output=True, text=True, check=True).stdout


def _folder_content(folder: Path) -> list[str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [part for path in files for part in (str(path.relative_to(folder)), path.read_text())]


def _adbd_key() -> str:
    recipe = [*ADBD_FLAGS, *ADBD_INCLUDES]
    return key_of([VERSIONS["android-platform-tools"], _compiler(), *recipe, *_folder_content(HERE / "adbd")])


def _root_key() -> str:
    versions = [f"{name} {version}" for name, version in VERSIONS.items()]
    return key_of([*versions, _adbd_key(), *TOYBOX_WITHOUT, *FOLDERS, *LINKS, *_folder_content(HERE / "root")])


# --- helpers ---------------------------------------------------------------------------------------------------------


def _source_list() -> list[str]:
    lines = (HERE / "adbd" / "sources.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _keep_only(program: Path) -> None:
    for path in sorted(program.parent.rglob("*"), reverse=True):
        if path.is_dir():
            path.rmdir()
        elif path != program:
            path.unlink()
