"""Downloads against a server of the test's own: resumed, pinned, and explained where they fail."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from edgedeploy.core.errors import UsageError, WeightsInvalid
from edgedeploy.core.storage.cache import cache_folder
from edgedeploy.models.loading import LoadOptions, downloads, load_network
from edgedeploy.models.loading.downloads import download
from edgedeploy.models.loading.random_weights import randomize
from edgedeploy.models.zoo import ZOO

CONTENT = bytes(range(256)) * 4096  # 1 MiB


class Server(ThreadingHTTPServer):
    """Serves `content` at every path, as a file server with ranges does; misbehaves where a test sets it to.

    Attributes:
        cuts: how many bytes each of the next answers sends before its connection is closed.
        seen: the Range header of each request, or "".
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.etag, self.kind = CONTENT, '"one"', "application/octet-stream"
        self.cuts: list[int] = []
        self.seen: list[str] = []
        self.status = 0
        self.ranges, self.ignores_if_range, self.redirect = True, False, ""

    def handle_error(self, *_: object) -> None:
        """A client that stops reading early is no error here."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/weights.pth"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        asked = self.headers.get("Range", "")
        server.seen.append(asked)
        if server.status:
            self.send_error(server.status)
            return
        start = 0
        if server.redirect:
            self.send_response(302)
            self.send_header("Location", server.redirect)
            self.end_headers()
            return
        if asked and server.ranges and (server.ignores_if_range or self.headers.get("If-Range") == server.etag):
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        body = server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", server.kind)
        self.send_header("Content-Length", str(len(body)))
        if server.etag:
            self.send_header("ETag", server.etag)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        self.end_headers()
        self.wfile.write(body[: server.cuts.pop(0)] if server.cuts else body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEDEPLOY_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache"


class RecordingReporter:
    """A reporter that keeps what it received."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.progress: list[tuple[int, int]] = []

    def stage(self, text: str) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def advance(self, done: int, total: int) -> None:
        self.progress.append((done, total))

    def note(self, text: str) -> None:
        self.notes.append(text)

    def detail(self, text: str) -> None:
        self.notes.append(text)


def test_a_file_arrives_whole_pinned_and_private(cache: Path, server: Server) -> None:
    reporter = RecordingReporter()
    path = download(server.address, reporter=reporter)
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent == cache / "weights"
    assert reporter.progress[-1] == (len(CONTENT), len(CONTENT))
    assert hashlib.sha256(CONTENT).hexdigest() in reporter.notes[-1]
    assert sorted(p.name for p in path.parent.iterdir() if not p.name.startswith(".")) == sorted(
        [path.name, "pins.json"]
    )


def test_a_file_that_is_there_is_not_fetched_again_even_offline(server: Server) -> None:
    first = download(server.address)
    server.status = 500
    assert download(server.address) == first
    assert len(server.seen) == 1


def test_a_cut_connection_is_taken_up_where_it_was_cut(server: Server) -> None:
    server.cuts = [300_000, 100_000]
    reporter = RecordingReporter()
    assert download(server.address, reporter=reporter).read_bytes() == CONTENT
    assert server.seen == ["", "bytes=300000-", "bytes=400000-"]
    assert "cut after 300000 bytes" in reporter.notes[0]


def test_a_download_that_was_given_up_goes_on_at_the_next_call(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads.time, "sleep", lambda _: None)
    server.cuts = [200_000, 0, 0, 0]
    with pytest.raises(WeightsInvalid, match="cut off 4 times") as caught:
        download(server.address)
    assert "it resumes where it stopped" in str(caught.value)
    server.seen.clear()
    assert download(server.address).read_bytes() == CONTENT
    assert server.seen == ["bytes=200000-"]


def test_a_file_that_changed_while_it_was_cut_starts_over(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads.time, "sleep", lambda _: None)
    server.cuts = [200_000, 0, 0, 0]
    with pytest.raises(WeightsInvalid):
        download(server.address)
    server.content, server.etag = b"new" * 100_000, '"two"'
    assert download(server.address).read_bytes() == server.content


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_without_a_validator_a_cut_download_starts_over(server: Server, etag: str) -> None:
    server.etag, server.cuts = etag, [300_000]
    assert download(server.address).read_bytes() == CONTENT
    assert server.seen == ["", ""]


def test_another_file_behind_a_pinned_address_is_refused(server: Server) -> None:
    path = download(server.address)
    path.unlink()
    server.content, server.etag = b"swapped", '"two"'
    with pytest.raises(WeightsInvalid, match="gives another file than on") as caught:
        download(server.address)
    assert hashlib.sha256(b"swapped").hexdigest() in str(caught.value)
    assert not path.exists()


def test_a_cached_file_that_was_damaged_is_fetched_again(server: Server) -> None:
    path = download(server.address)
    path.write_bytes(b"damaged")
    assert download(server.address).read_bytes() == CONTENT


def test_a_torch_checkpoint_that_is_not_what_its_name_says_is_refused() -> None:
    with pytest.raises(WeightsInvalid, match="arrived damaged"):
        downloads.check_hash_in_name("download.pytorch.org", "swin_t-704ceda3.pth", "ab" * 32, "https://x")
    downloads.check_hash_in_name("download.pytorch.org", "swin_t-704ceda3.pth", "704ceda3" + "0" * 56, "https://x")
    downloads.check_hash_in_name("example.org", "net-20210101.pth", "ab" * 32, "https://x")


def test_a_missing_file_reports_404_and_what_to_do(server: Server) -> None:
    server.status = 404
    with pytest.raises(WeightsInvalid, match="cannot be downloaded") as caught:
        download(server.address)
    assert "404" in str(caught.value)
    assert "authors' page" in str(caught.value)


def test_a_web_page_is_not_taken_for_a_file(server: Server) -> None:
    server.kind = "text/html; charset=utf-8"
    with pytest.raises(WeightsInvalid, match="gives a web page"):
        download(server.address)


def test_an_unreachable_host_is_explained() -> None:
    with socket.socket() as free:  # bound and not listening: nothing answers there
        free.bind(("127.0.0.1", 0))
        with pytest.raises(WeightsInvalid, match=r"127\.0\.0\.1 cannot be reached") as caught:
            download(f"http://127.0.0.1:{free.getsockname()[1]}/x.pth")
    assert "is this machine online?" in str(caught.value)


@pytest.mark.parametrize("address", ["ftp://127.0.0.1/x", "file:///etc/passwd", "http:///x"])
def test_only_http_addresses_are_fetched(address: str) -> None:
    with pytest.raises(UsageError, match="is no http"):
        download(address)


def test_two_downloads_of_one_file_do_not_mix(server: Server) -> None:
    folder = cache_folder("weights")
    folder.mkdir(parents=True)
    name = f"{hashlib.sha256(server.address.encode()).hexdigest()[:12]}-weights.pth"
    with downloads.exclusive(folder / name), pytest.raises(UsageError, match="another process"):
        download(server.address)


def test_a_network_is_built_from_an_address(server: Server, tmp_path: Path) -> None:
    spec = ZOO["edgenext-xx-small"]
    original = randomize(spec, seed=3, num_classes=5)
    torch.save({"state_dict": original.state_dict()}, tmp_path / "x.pth")
    server.content = (tmp_path / "x.pth").read_bytes()
    network = load_network(spec.name, LoadOptions(weights=server.address))
    assert network.weights.num_classes == 5
    for key, value in original.state_dict().items():
        assert torch.equal(network.module.state_dict()[key], value)


@pytest.mark.parametrize("text", ["no JSON", '{"https://x": {"size_bytes": 3}}'], ids=["no_json", "a_missing_key"])
def test_damaged_pins_are_an_error_and_not_a_first_download(server: Server, text: str) -> None:
    folder = cache_folder("weights")
    folder.mkdir(parents=True)
    (folder / "pins.json").write_text(text)
    with pytest.raises(WeightsInvalid, match="cannot be compared with its pin"):
        download(server.address)


def test_a_server_that_ignores_if_range_does_not_mix_two_versions(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "ATTEMPTS", 1)
    server.cuts = [300_000]
    with pytest.raises(WeightsInvalid):
        download(server.address)
    monkeypatch.setattr(downloads, "ATTEMPTS", 4)
    server.content, server.etag, server.ignores_if_range = CONTENT[::-1], '"two"', True
    assert download(server.address).read_bytes() == CONTENT[::-1]


def test_redirects_stay_on_http_and_https(server: Server) -> None:
    server.redirect = "ftp://127.0.0.1/weights.pth"
    with pytest.raises(WeightsInvalid, match="from http to ftp, which is not followed"):
        download(server.address)


def test_passwords_and_tokens_in_an_address_are_not_printed(server: Server) -> None:
    server.status = 404
    with pytest.raises(WeightsInvalid) as caught:
        download(f"{server.address}?token=secret")
    assert "secret" not in str(caught.value)
    assert downloads.shown("https://me:secret@host:1/a.pth?k=secret") == "https://host:1/a.pth?..."


def test_a_file_that_is_no_checkpoint_is_not_pinned_and_does_not_block_the_right_one(
    server: Server, tmp_path: Path
) -> None:
    name = "topformer-tiny-cls"
    with pytest.raises(WeightsInvalid, match="cannot be read as a checkpoint"):
        load_network(name, LoadOptions(weights=server.address))
    torch.save(randomize(ZOO[name], 3).state_dict(), tmp_path / "good.pth")
    server.content, server.etag = (tmp_path / "good.pth").read_bytes(), '"two"'
    assert load_network(name, LoadOptions(weights=server.address)).weights.kind == "checkpoint"


def test_secrets_of_an_address_are_not_kept_in_the_pins(tmp_path: Path) -> None:
    pins = downloads.Pins(tmp_path / "pins.json")
    address = "https://me:password@example.com/net.pth?token=secret"
    pins.add(address, "00", 1)
    pins.add("https://example.com/net.pth", "11", 1)
    text = pins.path.read_text(encoding="utf-8")
    assert "password" not in text
    assert "secret" not in text
    assert (pins.known(address), pins.known("https://example.com/net.pth")) == ("00", "11")
    assert pins.known(address.replace("secret", "other")) is None


def test_pins_of_an_older_version_still_count(tmp_path: Path) -> None:
    address = "https://me:password@example.com/net.pth"
    pin = {"sha256": "00", "size_bytes": 1, "pinned_at": "2026-01-01"}
    (tmp_path / "pins.json").write_text(json.dumps({address: pin}), encoding="utf-8")
    assert downloads.Pins(tmp_path / "pins.json").known(address) == "00"
