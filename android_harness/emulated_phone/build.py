"""Builds the phone: three static aarch64 programs and the root folder that holds them.

Each part is cached under the user's cache folder, named by a hash of all that went into it: this project's own files, the
sources' versions, the compiler. A warm cache answers without the network, and a changed script does not recompile adbd.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from platformdirs import user_cache_path

from edgedeploy.core.storage.files import staged_folder

from .sources import VERSIONS, fetch_source
from .tools import call, require_tools

HERE = Path(str(resources.files(__package__)))
CROSS = "aarch64-linux-gnu-"
BUILD_TOOLS = ["apt-get", "dpkg-source", f"{CROSS}g++", f"{CROSS}gcc", f"{CROSS}strip", "gcc", "make"]

# Written for clang and Android's own build system: what gcc on Linux needs to be told. ADB_HOST=0 makes it the daemon.
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

# Applets of toybox that need crypt(3), which a phone has no use for.
TOYBOX_WITHOUT = ("MKPASSWD", "SU", "LOGIN", "PASSWD")

# What stays of Android's layout; the rest appears when the phone boots.
FOLDERS = ("system/lib64", "vendor", "data", "proc", "sys", "dev", "mnt", "tmp", "root")
LINKS = {"bin": "system/bin", "etc": "system/etc"}


def cache_folder() -> Path:
    """Where everything of the phone is kept."""
    return user_cache_path("edgedeploy") / "phone"


def phone_root() -> Path:
    """Where the root folder of the present recipe is, or will be."""
    return cache_folder() / f"root-{_root_key()}"


def build_phone(say: Callable[[str], None] = lambda line: None) -> Path:
    """The phone's root folder, built if it is not in the cache; `say` hears what is being done.

    Raises DeviceError where a tool is missing or a step fails.
    """
    root = phone_root()
    if root.exists():
        return root
    require_tools(BUILD_TOOLS, "building the emulated phone")
    with _one_builder():
        if root.exists():
            return root
        adbd = _part("adbd", _adbd_key(), _build_adbd, say)
        mksh = _part("mksh", _key(VERSIONS["mksh"], _compiler()), _build_mksh, say)
        toybox = _part("toybox", _key(VERSIONS["toybox"], _compiler(), *TOYBOX_WITHOUT), _build_toybox, say)
        with staged_folder(root) as stage:
            _lay_out(stage, adbd=adbd, mksh=mksh, toybox=toybox)
        for package, version in VERSIONS.items():  # half a gigabyte that only a changed recipe needs again
            shutil.rmtree(cache_folder() / f"{package}-{version}", ignore_errors=True)
        shutil.rmtree(cache_folder() / "download", ignore_errors=True)
    return root


# --- parts -----------------------------------------------------------------------------------------------------------


def _part(name: str, key: str, make: Callable[[Path], None], say: Callable[[str], None]) -> Path:
    """The program `name` out of the cache, or made by `make(program)`."""
    folder = cache_folder() / f"{name}-{key}"
    if not folder.exists():
        say(f"building {name} for aarch64")
        with staged_folder(folder) as stage:
            make(stage / name)
    return folder / name


def _build_adbd(program: Path) -> None:
    core = fetch_source("android-platform-tools", cache_folder()) / "system" / "core"
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
    source = fetch_source("mksh", cache_folder())
    work = program.parent
    settings = {"CC": f"{CROSS}gcc", "CFLAGS": "-O2", "LDFLAGS": "-static", "TARGET_OS": "Linux"}
    log = work.with_name("mksh.log")
    call(["sh", source / "Build.sh", "-r"], cwd=work, environment=settings, log=log)
    call([f"{CROSS}strip", program], log=log)
    _keep_only(program)


def _build_toybox(program: Path) -> None:
    source = fetch_source("toybox", cache_folder())
    log = program.parent.with_name("toybox.log")
    # Its build knows no other folder than its own.
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
    for link, where in LINKS.items():
        (root / link).symlink_to(where)


def _tools_of(toybox: Path) -> list[str]:
    """The names that toybox answers to."""
    require_tools(["qemu-aarch64-static"], "building the emulated phone")
    return subprocess.run(["qemu-aarch64-static", toybox], capture_output=True, text=True, check=True).stdout.split()


# --- keys ------------------------------------------------------------------------------------------------------------


def _key(*inputs: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in inputs:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:16]


def _compiler() -> str:
    require_tools([f"{CROSS}gcc"], "building the emulated phone")
    return subprocess.run([f"{CROSS}gcc", "-dumpfullversion"], capture_output=True, text=True, check=True).stdout


def _folder_content(folder: Path) -> list[str | bytes]:
    content: list[str | bytes] = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content += [str(path.relative_to(folder)), path.read_bytes()]
    return content


def _adbd_key() -> str:
    recipe = [*ADBD_FLAGS, *ADBD_INCLUDES]
    return _key(VERSIONS["android-platform-tools"], _compiler(), *recipe, *_folder_content(HERE / "adbd"))


def _root_key() -> str:
    versions = [f"{name} {version}" for name, version in VERSIONS.items()]
    return _key(*versions, _adbd_key(), *TOYBOX_WITHOUT, *FOLDERS, *LINKS, *_folder_content(HERE / "root"))


# --- small things ----------------------------------------------------------------------------------------------------


def _source_list() -> list[str]:
    lines = (HERE / "adbd" / "sources.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _keep_only(program: Path) -> None:
    for path in sorted(program.parent.rglob("*"), reverse=True):
        if path.is_dir():
            path.rmdir()
        elif path != program:
            path.unlink()


@contextmanager
def _one_builder() -> Iterator[None]:
    """Two test workers that find an empty cache: one builds, the other waits for it."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / ".build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
