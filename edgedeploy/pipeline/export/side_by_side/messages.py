"""What passes between an export and the processes that make its targets.

The export writes one Request to the worker's stdin. The worker, and the processes that it forks, send messages through one
SOCK_SEQPACKET socket: it keeps messages apart, whoever sends them, and is closed when the last process has ended.
"""

from __future__ import annotations

import pickle
import socket
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgedeploy.core import errors
from edgedeploy.core.errors import EdgedeployError
from edgedeploy.pipeline.export.options import ExportOptions

LARGEST_MESSAGE = 128 * 1024  # below the socket's buffer, which holds at least one message
MOST_DETAILS, LONGEST_TEXT = 50, 2000


@dataclass(frozen=True)
class Request:
    """What the worker is asked to export.

    Attributes:
        model, targets, options: as `export` takes them.
        jobs: how many targets are made at a time at most; 0 where cores and memory decide.
        scratch: a private folder of the export, which removes it.
        search_last: folders that the export's own search path ends with, such as the current one.
    """

    model: str
    targets: tuple[str, ...]
    options: ExportOptions
    jobs: int
    scratch: Path
    search_last: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """For the worker's stdin; both ends are processes of one export."""
        return pickle.dumps(self)

    @staticmethod
    def from_bytes(data: bytes) -> Request:
        """What `to_bytes` gave."""
        request = pickle.loads(data)
        assert isinstance(request, Request)
        return request


class StageBegan(msgspec.Struct, frozen=True, tag=True):
    """A stage, by the process that it runs in and its number there."""

    process: int
    stage: int
    text: str


class StageEnded(msgspec.Struct, frozen=True, tag=True):
    process: int
    stage: int
    failed: bool


class Advanced(msgspec.Struct, frozen=True, tag=True):
    done: int
    total: int


class Noted(msgspec.Struct, frozen=True, tag=True):
    text: str
    detail: bool = False


class NetworkLoaded(msgspec.Struct, frozen=True, tag=True):
    """The name that the network's artifacts are below."""

    name: str


class TargetDone(msgspec.Struct, frozen=True, tag=True):
    target: str
    folder: str
    peak_rss_bytes: int


class Failed(msgspec.Struct, frozen=True, tag=True):
    """An EdgedeployError of a target; of the whole export where `target` is empty."""

    target: str
    kind: str
    exit_code: int
    message: str
    details: tuple[str, ...]
    hint: str | None

    @classmethod
    def of(cls, target: str, error: EdgedeployError) -> Failed:
        details = tuple(line[:LONGEST_TEXT] for line in error.details[:MOST_DETAILS])
        kind = next(kind.__name__ for kind in type(error).__mro__ if hasattr(errors, kind.__name__))
        return cls(target, kind, error.exit_code, error.message[:LONGEST_TEXT], details, error.hint)

    def error(self) -> EdgedeployError:
        """The same error in this process."""
        kind = getattr(errors, self.kind)
        made: EdgedeployError = kind.__new__(kind)
        EdgedeployError.__init__(made, self.message, details=self.details, hint=self.hint)
        made.exit_code = self.exit_code
        return made


class Unexpected(msgspec.Struct, frozen=True, tag=True):
    """An exception that nobody expected, with its traceback."""

    text: str
    trace: str


Message = StageBegan | StageEnded | Advanced | Noted | NetworkLoaded | TargetDone | Failed | Unexpected


def send(connection: socket.socket, message: Message) -> None:
    """Sends one message; waits while the other side has not read the ones before."""
    data = msgspec.json.encode(message)
    if len(data) > LARGEST_MESSAGE:
        data = msgspec.json.encode(Noted(f"a message of {len(data)} bytes was too long to be shown"))
    connection.sendall(data)


def receive(connection: socket.socket) -> Message | None:
    """The next message; None when every process that could send one has ended."""
    data = connection.recv(LARGEST_MESSAGE)
    return msgspec.json.decode(data, type=Message) if data else None
