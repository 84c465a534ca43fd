"""Resumable downloads of checkpoints, pinned to the SHA-256 of the first one.

    <cache>/weights/<hash of the address>-<file name>     the complete file
                    ....part, ....part.json               the bytes so far, and the version of the file that they are of
                    pins.json                             address, without secrets -> SHA-256 of the first download

A later download with another hash than the pinned one is refused. This stands on urllib: pooch cannot resume, and no small
package was found that resumes with If-Range, without which the halves of two versions of a file could be joined.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from filelock import FileLock, Timeout

from edgedeploy.core.errors import EdgedeployError, UsageError, WeightsInvalid
from edgedeploy.core.reporter import NullReporter, Reporter
from edgedeploy.core.storage.cache import cache_folder, locked
from edgedeploy.core.storage.files import output_errors, sha256_of
from edgedeploy.core.storage.json_records import RecordInvalid, decode, write_record
from edgedeploy.core.versions import EDGEDEPLOY_VERSION

CHUNK_BYTES = 1 << 18
TIMEOUT_S = 30
ATTEMPTS = 4
# torch's own checkpoints carry the first digits of their SHA-256 in their names
HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.\w+$")
HOSTS_WITH_HASH = ("download.pytorch.org",)


def is_address(text: str) -> bool:
    """Whether this is an address and not a file's name."""
    return re.match(r"[a-z][a-z0-9+]+://", text, re.IGNORECASE) is not None


def download(
    address: str,
    *,
    folder: Path | None = None,
    reporter: Reporter | None = None,
    check: Callable[[Path, str], object] | None = None,
) -> Path:
    """The file behind an http(s) address; it is fetched where the cache does not hold it.

    Args:
        check: gets the complete file and its name before it is pinned or kept, and raises an EdgedeployError for a bad one.

    Raises UsageError for another kind of address, WeightsInvalid where the download fails or gives another file than
    the first one.
    """
    parts = urlsplit(address)
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise UsageError(f"'{shown(address)}' is no http(s) address", hint="https://..., or a file's name")
    folder, reporter = folder or cache_folder("weights"), reporter or NullReporter()
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", unquote(Path(parts.path).name)) or "weights"
    final = folder / f"{hashlib.sha256(address.encode()).hexdigest()[:12]}-{name}"
    pins = Pins(folder / "pins.json")
    with output_errors(final):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with exclusive(final):
        if final.is_file() and pins.known(address) == sha256_of(final):
            reporter.detail(f"{final} is in the cache")
            return final
        part = Part(final.with_name(f"{final.name}.part"))
        with reporter.stage(f"download {shown(address)}"):
            _fetch_all(address, part, reporter)
        actual = sha256_of(part.path)
        try:
            pins.check(address, actual)
            check_hash_in_name(parts.hostname, name, actual, address)
            if check is not None:
                check(part.path, name)
        except EdgedeployError:
            part.remove()
            raise
        with output_errors(final):
            part.path.replace(final)
        part.remove()
        if pins.known(address) is None:
            pins.add(address, actual, final.stat().st_size)
            reporter.note(f"{shown(address)} is pinned to sha256 {actual}")
    return final


@dataclass(frozen=True)
class Pin:
    """The first download of an address."""

    sha256: str
    size_bytes: int
    pinned_at: str


class Pins:
    """The first download of every address, in a JSON file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def _all(self) -> dict[str, Pin]:
        try:
            found = decode(self.path.read_bytes(), dict[str, Pin])
            return {_key(address): pin for address, pin in found.items()}  # older versions wrote the whole address
        except FileNotFoundError:
            return {}
        except (OSError, RecordInvalid) as error:
            raise WeightsInvalid(
                f"{self.path} cannot be read, so the download cannot be compared with its pin",
                details=[str(error)],
                hint="repair it, or remove it to pin anew",
            ) from None

    def known(self, address: str) -> str | None:
        """The pinned SHA-256, or None."""
        pin = self._all().get(_key(address))
        return pin.sha256 if pin else None

    def check(self, address: str, sha256: str) -> None:
        """Raises WeightsInvalid for another hash than the pinned one."""
        pin = self._all().get(_key(address))
        if pin and pin.sha256 != sha256:
            raise WeightsInvalid(
                f"{shown(address)} gives another file than on {pin.pinned_at[:10]}",
                details=[f"pinned: sha256 {pin.sha256}, {pin.size_bytes} bytes", f"now:    sha256 {sha256}"],
                hint=f"--weights FILE with one that you trust; if the change is right, remove its entry in {self.path}",
            )

    def add(self, address: str, sha256: str, size_bytes: int) -> None:
        """Pins an address."""
        pin = Pin(sha256, size_bytes, datetime.now(UTC).isoformat(timespec="seconds"))
        with locked(self.path):
            write_record(self.path, {**self._all(), _key(address): pin})


def _key(address: str) -> str:
    """What stands for an address in the file: itself, or where it has secrets, what may be shown of it and its hash."""
    plain = shown(address)
    if plain == address or " " in address:  # no address has a space; a key of this function has
        return address
    return f"{plain} {hashlib.sha256(address.encode()).hexdigest()[:16]}"


@dataclass(frozen=True)
class PartVersion:
    """Which version of a file the bytes of an incomplete download are of: its ETag or date."""

    validator: str


@dataclass(frozen=True)
class Part:
    """An incomplete download."""

    path: Path

    @property
    def _version(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    def validator(self) -> str:
        """The ETag or date of the version that the bytes are of; "" where a resume would not be safe."""
        with contextlib.suppress(OSError, RecordInvalid):
            return decode(self._version.read_bytes(), PartVersion).validator
        return ""

    def size(self) -> int:
        """Bytes that have arrived."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def begin(self, validator: str) -> None:
        """Starts over with another version."""
        self.remove()
        write_record(self._version, PartVersion(validator))

    def open(self) -> IO[bytes]:
        """Opens it for appending; only the user may read it."""
        return os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")

    def remove(self) -> None:
        """Removes the bytes and their version."""
        self.path.unlink(missing_ok=True)
        self._version.unlink(missing_ok=True)


class _Cut(Exception):
    """The connection ended before the file did."""


def _fetch_all(address: str, part: Part, reporter: Reporter) -> None:
    """Fetches until the file is complete; after a cut connection it resumes, ATTEMPTS times in all."""
    for attempt in range(ATTEMPTS):
        before = part.size()
        try:
            _fetch(address, part, reporter)
            return
        except _Cut as cut:
            if attempt == ATTEMPTS - 1:
                raise WeightsInvalid(
                    f"the download of {shown(address)} was cut off {ATTEMPTS} times",
                    details=[f"{part.size()} bytes have arrived; last error: {cut}"],
                    hint="run the same command again: it resumes where it stopped"
                    if part.validator()
                    else "run the same command again; this server cannot resume",
                ) from None
            reporter.note(f"the connection was cut after {part.size()} bytes; trying again")
            time.sleep(0.0 if part.size() > before else 2.0**attempt / 4)


def _fetch(address: str, part: Part, reporter: Reporter) -> None:
    headers = {"User-Agent": f"edgedeploy/{EDGEDEPLOY_VERSION}", "Accept-Encoding": "identity"}
    start = part.size() if part.validator() else 0
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": part.validator()}
    try:
        request = urllib.request.Request(address, headers=headers)
        with urllib.request.build_opener(_WebRedirects).open(request, timeout=TIMEOUT_S) as response:
            _receive(response, address, part, start, reporter)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the part is longer than the file
            part.remove()
            raise _Cut("the incomplete download did not fit the file") from None
        raise _refusal(address, error) from None
    except urllib.error.URLError as error:
        raise _unreachable(address, error.reason) from None
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise _Cut(f"{type(error).__name__}: {error}") from None


class _WebRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https alone, and none from https to http."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        before, after = urlsplit(req.full_url).scheme.lower(), urlsplit(newurl).scheme.lower()
        if after not in ("http", "https") or (before == "https" and after == "http"):
            raise WeightsInvalid(
                f"{shown(req.full_url)} redirects from {before} to {after}, which is not followed",
                hint="--weights URL with the file's own address, or download it in a browser: --weights FILE",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def shown(address: str) -> str:
    """An address as it may be printed: without a user name, a password, or the query, in which tokens are."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}{'?...' if parts.query else ''}"


def _receive(response: Any, address: str, part: Part, start: int, reporter: Reporter) -> None:
    if response.headers.get_content_type() == "text/html":
        raise WeightsInvalid(
            f"{shown(address)} gives a web page, not a file",
            hint="open it in a browser and download there; then --weights FILE",
        )
    resumed = response.status == 206 and _range_start(response) == start and _validator(response) == part.validator()
    if response.status == 206 and not resumed:
        part.remove()
        raise _Cut("the server sent another range, or a range of another version, than the one that was requested")
    done = start if resumed else 0
    if resumed:
        reporter.detail(f"resumed at {start} bytes")
    else:
        with output_errors(part.path):
            part.begin(_validator(response))
    length = response.headers.get("Content-Length")
    total = done + int(length) if length else 0
    with output_errors(part.path), part.open() as file:
        while True:
            chunk = _read(response)
            if not chunk:
                break
            file.write(chunk)
            done += len(chunk)
            reporter.advance(done, total or done)
    if total and done != total:
        raise _Cut(f"{done} of {total} bytes arrived")


def _validator(response: Any) -> str:
    """What names the version of the file that a server sends: a strong ETag or a date; "" where it sends neither."""
    etag = response.headers.get("ETag", "")
    strong = etag if etag and not etag.startswith("W/") else ""
    return str(strong or response.headers.get("Last-Modified", ""))


def _read(response: Any) -> bytes:
    try:
        return bytes(response.read(CHUNK_BYTES))
    except (http.client.HTTPException, OSError) as error:
        raise _Cut(f"{type(error).__name__}: {error}") from None


def _range_start(response: Any) -> int:
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else -1


def _refusal(address: str, error: urllib.error.HTTPError) -> WeightsInvalid:
    hints = {
        401: "the server wants a login: download in a browser, then --weights FILE",
        403: "the server wants a login: download in a browser, then --weights FILE",
        404: "the file may have moved: look at the authors' page, then --weights URL or FILE",
    }
    return WeightsInvalid(
        f"{shown(address)} cannot be downloaded",
        details=[f"the server responds {error.code} {error.reason}"],
        hint=hints.get(error.code, "later again, or --weights FILE"),
    )


def _unreachable(address: str, reason: object) -> WeightsInvalid:
    host = urlsplit(address).hostname
    cause = getattr(reason, "strerror", None) or str(reason)
    return WeightsInvalid(
        f"{host} cannot be reached",
        details=[cause, f"address: {shown(address)}"],
        hint="is this machine online? Behind a proxy set HTTPS_PROXY; or download elsewhere and --weights FILE",
    )


def check_hash_in_name(host: str, name: str, sha256: str, address: str) -> None:
    """Raises WeightsInvalid where a host writes hashes into file names and this file has another one."""
    match = HASH_IN_NAME.search(name)
    if host in HOSTS_WITH_HASH and match and not sha256.startswith(match[1]):
        raise WeightsInvalid(
            f"{shown(address)} arrived damaged",
            details=[f"its name says sha256 {match[1]}..., the file has {sha256}"],
            hint="download it again",
        )


@contextlib.contextmanager
def exclusive(final: Path) -> Iterator[None]:
    """Holds the lock of one download. Raises UsageError where another process holds it."""
    lock = FileLock(final.with_name(f".{final.name}.lock"), timeout=0, mode=0o600)
    with output_errors(final):
        try:
            lock.acquire()
        except Timeout:
            raise UsageError(f"{final.name} is being downloaded by another process", hint="wait for it") from None
    try:
        yield
    finally:
        lock.release()
