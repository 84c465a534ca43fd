"""Checkpoints from the network: resumed, pinned, never half there.

    <cache>/weights/<hash of the address>-<file name>     the file, once it is whole
                    ....part, ....part.json               what has arrived, and of which version of the file
                    pins.json                             address -> sha256 of the first download

The first download of an address pins its SHA-256; a later one with another hash is refused. The standard library's urllib
does all of this: one GET with a Range header needs no other package.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from edgedeploy.core.errors import EdgedeployError, UsageError, WeightsInvalid
from edgedeploy.core.reporter import NullReporter, Reporter
from edgedeploy.core.storage.files import output_errors, sha256_of, write_json
from edgedeploy.core.versions import EDGEDEPLOY_VERSION

PIECE = 1 << 18
TIMEOUT_S = 30
TRIES = 4
# torch's own checkpoints carry the first digits of their SHA-256 in their names
HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.\w+$")
HOSTS_WITH_HASH = ("download.pytorch.org",)


def is_address(text: str) -> bool:
    """Whether this is an address and not a file's name."""
    return re.match(r"[a-z][a-z0-9+]+://", text, re.IGNORECASE) is not None


def cache_folder() -> Path:
    """Where downloads are kept: below the user's cache folder, as the platform has it."""
    import platformdirs

    return platformdirs.user_cache_path("edgedeploy") / "weights"


def download(address: str, *, folder: Path | None = None, reporter: Reporter | None = None) -> Path:
    """The file behind an http(s) address, from the cache where it is there whole.

    Raises UsageError for an address that is none, WeightsInvalid where it cannot be had or is another file than before.
    """
    parts = urlsplit(address)
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise UsageError(f"'{address}' is no address to download from", hint="https://..., or a file's name")
    folder, reporter = folder or cache_folder(), reporter or NullReporter()
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", unquote(Path(parts.path).name)) or "weights"
    final = folder / f"{hashlib.sha256(address.encode()).hexdigest()[:12]}-{name}"
    pins = Pins(folder / "pins.json")
    with output_errors(final):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(final):
        if final.is_file() and pins.known(address) == sha256_of(final):
            reporter.detail(f"{final} is there already")
            return final
        part = Part(final.with_name(f"{final.name}.part"))
        with reporter.stage(f"download {address}"):
            _fetch_all(address, part, reporter)
        actual = sha256_of(part.path)
        try:
            pins.check(address, actual)
            _check_name(parts.hostname, name, actual, address)
        except EdgedeployError:
            part.forget()
            raise
        with output_errors(final):
            part.path.replace(final)
        part.forget()
        if pins.known(address) is None:
            pins.add(address, actual, final.stat().st_size)
            reporter.note(f"{address} is pinned to sha256 {actual}")
    return final


class Pins:
    """The SHA-256 of every address at its first download."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def _all(self) -> dict[str, Any]:
        try:
            entries = json.loads(self.path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise WeightsInvalid(
                f"{self.path} cannot be read, so no download can be held against its pin",
                details=[str(error)],
                hint="repair it, or remove it to pin anew",
            ) from None
        return dict(entries) if isinstance(entries, dict) else {}

    def known(self, address: str) -> str | None:
        """The pinned hash, or None."""
        entry = self._all().get(address)
        return entry["sha256"] if entry else None

    def check(self, address: str, sha256: str) -> None:
        """Raises WeightsInvalid for another hash than the pinned one."""
        entry = self._all().get(address)
        if entry and entry["sha256"] != sha256:
            raise WeightsInvalid(
                f"{address} gives another file than on {entry['pinned_at'][:10]}",
                details=[f"pinned: sha256 {entry['sha256']}, {entry['size_bytes']} bytes", f"now:    sha256 {sha256}"],
                hint=f"--weights FILE with one that you trust; if the change is right, take its entry out of {self.path}",
            )

    def add(self, address: str, sha256: str, size: int) -> None:
        """Pins an address."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        write_json(self.path, {**self._all(), address: {"sha256": sha256, "size_bytes": size, "pinned_at": now}})


@dataclass
class Part:
    """A download that is not whole yet: its bytes, and the validator that says which version of the file they are of."""

    path: Path

    @property
    def _facts(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    def validator(self) -> str:
        """The ETag or date of the version that the bytes are of; "" where a resume would not be safe."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return str(json.loads(self._facts.read_text())["validator"])
        return ""

    def size(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def begin(self, validator: str) -> None:
        """Starts over with another version."""
        self.forget()
        write_json(self._facts, {"validator": validator})

    def open(self) -> IO[bytes]:
        """For appending; private to the user."""
        return os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")

    def forget(self) -> None:
        """Nothing has arrived."""
        self.path.unlink(missing_ok=True)
        self._facts.unlink(missing_ok=True)


class _Cut(Exception):
    """The connection ended before the file did."""


def _fetch_all(address: str, part: Part, reporter: Reporter) -> None:
    """Fetches until the file is whole; a cut connection is taken up again where it was cut, a few times."""
    for attempt in range(TRIES):
        before = part.size()
        try:
            _fetch(address, part, reporter)
            return
        except _Cut as cut:
            if attempt == TRIES - 1:
                raise WeightsInvalid(
                    f"the download of {address} was cut off {TRIES} times",
                    details=[f"{part.size()} bytes have arrived; the last one: {cut}"],
                    hint="the same command again goes on where it stopped"
                    if part.validator()
                    else "the same command again; this server cannot resume",
                ) from None
            reporter.note(f"the connection was cut after {part.size()} bytes; trying again")
            time.sleep(0.0 if part.size() > before else 2.0**attempt / 4)


def _fetch(address: str, part: Part, reporter: Reporter) -> None:
    headers = {"User-Agent": f"edgedeploy/{EDGEDEPLOY_VERSION}", "Accept-Encoding": "identity"}
    start = part.size() if part.validator() else 0
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": part.validator()}
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=TIMEOUT_S) as response:
            _receive(response, address, part, start, reporter)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # what is here is longer than what is there
            part.forget()
            raise _Cut("the part here did not fit the file there") from None
        raise _refusal(address, error) from None
    except urllib.error.URLError as error:
        raise _unreachable(address, error.reason) from None
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise _Cut(f"{type(error).__name__}: {error}") from None


def _receive(response: Any, address: str, part: Part, start: int, reporter: Reporter) -> None:
    if response.headers.get_content_type() == "text/html":
        raise WeightsInvalid(
            f"{address} gives a web page, not a file",
            hint="open it in a browser and download there; then --weights FILE",
        )
    resumed = response.status == 206 and _range_start(response) == start
    if response.status == 206 and not resumed:
        part.forget()
        raise _Cut("the server sent another piece than the one that was asked for")
    done = start if resumed else 0
    if resumed:
        reporter.detail(f"resumed at {start} bytes")
    else:
        etag = response.headers.get("ETag", "")
        strong = etag if etag and not etag.startswith("W/") else ""
        with output_errors(part.path):
            part.begin(strong or response.headers.get("Last-Modified", ""))
    length = response.headers.get("Content-Length")
    total = done + int(length) if length else 0
    with output_errors(part.path), part.open() as file:
        while True:
            piece = _read(response)
            if not piece:
                break
            file.write(piece)
            done += len(piece)
            reporter.advance(done, total or done)
    if total and done != total:
        raise _Cut(f"{done} of {total} bytes arrived")


def _read(response: Any) -> bytes:
    try:
        return bytes(response.read(PIECE))
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
        f"{address} cannot be downloaded",
        details=[f"the server answers {error.code} {error.reason}"],
        hint=hints.get(error.code, "later again, or --weights FILE"),
    )


def _unreachable(address: str, reason: object) -> WeightsInvalid:
    host = urlsplit(address).hostname
    said = getattr(reason, "strerror", None) or str(reason)
    return WeightsInvalid(
        f"{host} cannot be reached",
        details=[said, f"wanted {address}"],
        hint="is this machine online? Behind a proxy set HTTPS_PROXY; or download elsewhere and --weights FILE",
    )


def _check_name(host: str, name: str, sha256: str, address: str) -> None:
    match = HASH_IN_NAME.search(name)
    if host in HOSTS_WITH_HASH and match and not sha256.startswith(match[1]):
        raise WeightsInvalid(
            f"{address} arrived damaged",
            details=[f"its name promises sha256 {match[1]}..., the file has {sha256}"],
            hint="download it again",
        )


@contextlib.contextmanager
def _alone(final: Path) -> Iterator[None]:
    """Two processes do not write one part at the same time; the second is told."""
    try:
        import fcntl
    except ImportError:  # not a POSIX system
        yield
        return
    lock = final.with_name(f".{final.name}.lock")
    with output_errors(lock):
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{final.name} is being downloaded by another process", hint="wait for it") from None
        yield
    finally:
        os.close(handle)
