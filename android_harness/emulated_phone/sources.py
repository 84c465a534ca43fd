"""The sources of the emulated phone's three programs, from the Debian mirror that this machine already uses.

A private list of sources is given to apt-get for these calls only; the machine's own configuration is read, never changed.
The release is fixed, so that every machine builds the same adbd: newer releases need another build.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from edgedeploy.core.errors import DeviceError
from edgedeploy.core.storage.files import staged_folder

from .tools import call, require_tools

RELEASE = "bookworm"

# source package -> the upstream version that build.py can build
VERSIONS = {"android-platform-tools": "29.0.6", "mksh": "59c", "toybox": "0.8"}

# adbd is built with Debian's changes; of the other two only upstream's archive is fetched.
WITH_DEBIAN_CHANGES = {"android-platform-tools"}


def fetch_source(package: str, folder: Path) -> Path:
    """Unpacks a source package below `folder` unless it is there; returns its root. Raises DeviceError."""
    unpacked = folder / f"{package}-{VERSIONS[package]}"
    if unpacked.exists():
        return unpacked
    require_tools(["apt-get", "dpkg-source", "tar"], "fetching the emulated phone's sources")
    download = folder / "download"
    log = folder / "fetch.log"
    apt = _private_apt(download, log)
    changed = package in WITH_DEBIAN_CHANGES
    call([*apt, "source", "--download-only" if changed else "--tar-only", package], cwd=download, log=log)
    archive = _downloaded(download, package, "dsc" if changed else "orig.tar.*")
    with staged_folder(unpacked) as stage:
        root = stage / "unpacked"
        if changed:
            # Makes the folder itself. Not checked: the packager's signature. apt has checked the archive's.
            call(["dpkg-source", "--no-check", "-x", archive, root], cwd=download, log=log)
        else:
            root.mkdir()
            call(["tar", "-xf", archive, "-C", root, "--strip-components=1"], log=log)
        for entry in root.iterdir():
            entry.rename(stage / entry.name)
        root.rmdir()
    for path in download.glob(f"{package}_*"):
        path.unlink()
    return unpacked


def _downloaded(download: Path, package: str, ending: str) -> Path:
    found = sorted(download.glob(f"{package}_*{ending}"))
    matching = [path for path in found if path.name.startswith(f"{package}_{VERSIONS[package]}")]
    if not matching:
        raise DeviceError(
            f"the mirror's {package} is not version {VERSIONS[package]}, which the emulated phone is made of",
            details=[path.name for path in found],
        )
    return matching[-1]


def _private_apt(download: Path, log: Path) -> list[str | Path]:
    """An apt-get command whose only source is the fixed release's source packages; its lists are up to date."""
    lists = download / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    source_list = download / "sources.list"
    source_list.write_text(f"deb-src {debian_mirror()} {RELEASE} main\n")
    options = {
        "Dir::Etc::SourceList": source_list,
        "Dir::Etc::SourceParts": "-",
        "Dir::State::Lists": lists,
        "APT::Sandbox::User": "root",
    }
    apt: list[str | Path] = ["apt-get", "-qq"]
    for name, value in options.items():
        apt += ["-o", f"{name}={value}"]
    if not any(lists.glob("*_Sources*")):
        call([*apt, "update"], cwd=download, log=log)
    return apt


def debian_mirror() -> str:
    """Address of the Debian archive in this machine's apt configuration. Raises DeviceError where there is none."""
    if shutil.which("apt-get") is None:
        raise DeviceError("the emulated phone is built from Debian's source packages, which needs apt-get")
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return mirror_in(listing)


def mirror_in(listing: str) -> str:
    """The first main archive of Debian in lines of `origin component address`; security updates lie elsewhere."""
    for line in listing.splitlines():
        origin, component, address = (*line.split(maxsplit=2), "", "", "")[:3]
        if origin == "Debian" and component == "main" and not urlsplit(address).path.rstrip("/").endswith("-security"):
            return address.strip()
    raise DeviceError(
        "this machine's apt configuration names no Debian archive, whose source packages the emulated phone is made of",
        hint="apt-get update, on a machine or in a container with Debian",
    )
