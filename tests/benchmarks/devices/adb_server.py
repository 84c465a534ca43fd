"""An adb server whose answers a test sets, in adb's wire protocol; the real `adb` program connects to it.

For states that no emulated phone can be in: unauthorized, no permissions, recovery. A request is four hexadecimal digits of
length and a text; an answer is OKAY or FAIL and, for most, a text of the same form.
"""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator

SERVER_VERSION = 41  # of adb 29 to 36; a client of another version would try to replace the server


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    devices: str
    requests: list[str]


class _Session(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        while length := self.rfile.read(4):
            request = self.rfile.read(int(length, 16)).decode()
            self.server.requests.append(request)
            if request == "host:version":
                self.send("OKAY", f"{SERVER_VERSION:04x}")
            elif request in ("host:devices-l", "host:devices"):
                self.send("OKAY", self.server.devices)
            elif request.startswith("host:connect:"):
                self.send("OKAY", f"failed to connect to '{request.removeprefix('host:connect:')}': Connection refused")
            elif request.startswith("host:disconnect:"):
                self.send("OKAY", "disconnected")
            else:
                self.send("FAIL", "device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set")
            return

    def send(self, status: str, text: str) -> None:
        self.wfile.write(f"{status}{len(text.encode()):04x}{text}".encode())


@contextlib.contextmanager
def scripted_adb_server(devices: str) -> Iterator[tuple[int, list[str]]]:
    """Port, and the requests so far, of a server on which `adb devices -l` prints `devices`."""
    with _Server(("127.0.0.1", 0), _Session) as server:
        server.devices, server.requests = devices, []
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1], server.requests
        finally:
            server.shutdown()
            thread.join()
