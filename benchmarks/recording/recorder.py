"""Recording: a device that keeps what is asked and answered, and the file that is made of it.

Serial numbers and user names are left out of every line unless they were asked for. The dialogue of the device's lock is
not recorded: it consists of them.
"""

from __future__ import annotations

import base64
import datetime
import getpass
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgedeploy.android_harness.bundles import Bundle
from edgedeploy.benchmarks.devices.remote import Connection, RemoteDevice
from edgedeploy.benchmarks.devices.shell_session import Limits, ShellResult
from edgedeploy.core.device import DeviceInfo
from edgedeploy.core.errors import DeviceError
from edgedeploy.core.measurement import Measurement
from edgedeploy.core.results.comparison import ANONYMOUS
from edgedeploy.core.storage.files import write_atomically
from edgedeploy.core.storage.json_records import encode_line, to_builtins

from .records import Exchange, Header, Line, RecordedBundle, RecordedOptions, key_of, plain

SERIAL = re.compile(r"^\[ro\.[\w.]*serialno\]: \[(.+)\]", re.MULTILINE)
AS_THEY_ARE = ("key", "stdout_zlib", "artifact_sha256")
EVERYBODYS = {"root", "shell", "nobody", "user"}  # these name no person


@dataclass
class Recorder:
    """What was recorded so far.

    Attributes:
        keep_names: leave serial numbers and user names in.
    """

    keep_names: bool = False
    exchanges: list[Exchange] = field(default_factory=list)
    info: DeviceInfo | None = None
    bundles: dict[str, Bundle] = field(default_factory=dict)

    def write(self, path: Path, options: RecordedOptions, rows: Sequence[Measurement]) -> None:
        """Writes the file, if there was a device. Raises OutputFailed."""
        if self.info is None:
            return
        bundles = {
            runtime: RecordedBundle(bundle.folder.name, bundle.version) for runtime, bundle in self.bundles.items()
        }
        header = Header(
            recorded_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            info=self.info,
            abi=next((bundle.abi for bundle in self.bundles.values()), ""),
            bundles=bundles,
            options=options,
            names_kept=self.keep_names,
        )
        lines = [
            Line(header=header),
            *(Line(exchange=exchange) for exchange in self.exchanges),
            *(Line(measurement=row) for row in rows),
        ]
        hide = _hider({} if self.keep_names else self._secrets())
        texts = [
            encode_line({name: hide(part) for name, part in to_builtins(line).items() if part is not None})
            for line in (*lines, Line(end=len(lines)))
        ]
        write_atomically(path, "".join(f"{text}\n" for text in texts))

    def _secrets(self) -> dict[str, str]:
        """Each text that is left out, and what takes its place."""
        assert self.info is not None
        kind, _, name = self.info.name.partition(":")
        serials = {self.info.serial or "", name if kind == "adb" else ""}
        for exchange in self.exchanges:
            serials |= set(SERIAL.findall(exchange.stdout))
        users = {getpass.getuser(), Path.home().name, name.partition("@")[0] if kind == "ssh" and "@" in name else ""}
        found = dict.fromkeys(users - EVERYBODYS, "USER") | dict.fromkeys(serials, ANONYMOUS)
        return {secret: mark for secret, mark in found.items() if len(secret) > 1}


def _hider(secrets: dict[str, str]) -> Callable[[Any], Any]:
    """Replaces the secrets in all texts of a record, as whole words; what is compressed or a hash stays as it is."""
    either = "|".join(re.escape(secret) for secret in sorted(secrets, key=len, reverse=True))
    pattern = re.compile(rf"(?<![A-Za-z0-9_])({either})(?![A-Za-z0-9_])")

    def hide(value: Any) -> Any:
        if isinstance(value, str):
            return pattern.sub(lambda found: secrets[found[1]], value) if secrets else value
        if isinstance(value, dict):
            return {name: inner if name in AS_THEY_ARE else hide(inner) for name, inner in value.items()}
        return [hide(inner) for inner in value] if isinstance(value, list | tuple) else value

    return hide


class RecordingDevice(RemoteDevice):
    """A device whose dialogue is kept."""

    def __init__(self, connection: Connection, recorder: Recorder) -> None:
        super().__init__(connection)
        self._recorder = recorder
        self._turn = threading.Lock()

    def _run_script(
        self,
        script: str,
        *,
        stdin: Iterable[bytes] = (),
        hold_stdin: bool = False,
        on_stdout: Callable[[bytes], object] = lambda chunk: None,
        limits: Limits,
    ) -> ShellResult:
        began_s, out = time.time(), bytearray()
        first_s: list[float] = []

        def take(chunk: bytes) -> None:
            first_s[:] = first_s or [time.time()]
            out.extend(chunk)
            on_stdout(chunk)

        failure = message = ""
        result = ShellResult(None, b"")
        try:
            result = super()._run_script(script, stdin=stdin, hold_stdin=hold_stdin, on_stdout=take, limits=limits)
            return result
        except DeviceError as error:
            failure, message = type(error).__name__, error.message
            raise
        finally:
            ended_s = time.time()
            text, packed = _packed(bytes(out))
            exchange = Exchange(
                key=key_of(script, self.folder),
                script=plain(script, self.folder),
                exit_code=result.exit_code,
                began_s=began_s,
                first_output_s=first_s[0] if first_s else ended_s,
                ended_s=ended_s,
                stdout=text,
                stdout_zlib=packed,
                stderr=result.stderr.decode(errors="replace"),
                failure=failure,
                message=message,
            )
            with self._turn:
                self._recorder.exchanges.append(exchange)


def _packed(data: bytes) -> tuple[str, str]:
    """Text as it is, other data compressed in base 64."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        return "", base64.b64encode(zlib.compress(data)).decode()
    return text, ""
