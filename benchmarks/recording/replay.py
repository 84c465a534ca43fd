"""A device that is not there: it answers from a record, and its clock is that of the record."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence

from edgedeploy.benchmarks.conditions.temperature import Clock
from edgedeploy.benchmarks.devices.queries import state_script
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.benchmarks.devices.shell_session import Limits, ShellResult
from edgedeploy.core.device import DeviceState
from edgedeploy.core.errors import DeviceError, DeviceLost, NoDevice, ResultsInvalid

from .records import FOLDER, Exchange, Record, key_of

FAILURES: dict[str, type[DeviceError]] = {"DeviceLost": DeviceLost, "NoDevice": NoDevice}


class ReplayConnection:
    """Where a real device has its connecting program, a replayed one has nothing to start."""

    system_root = ""

    def __init__(self, address: str) -> None:
        self.address = address

    def argv(self, script: str) -> Sequence[str]:
        """Nothing is started."""
        raise AssertionError("a replayed device runs nothing")

    def folder(self) -> str:
        """What stands for the device's folder in a record."""
        return FOLDER

    def reopen(self) -> None:
        """Whether the device was back is in the record, too."""

    def lost(self, stderr: str) -> DeviceError:
        """The same kind of error as of a device."""
        return DeviceLost(f"{self.address} is gone", details=stderr.splitlines()[-3:])


class ReplayDevice(RemoteDevice):
    """A RemoteDevice that answers each script as it was answered when it was recorded."""

    def __init__(self, record: Record) -> None:
        super().__init__(ReplayConnection(record.header.info.name))
        self._record = record
        self._now_s = record.exchanges[0].began_s if record.exchanges else 0.0
        self._answers: dict[str, deque[Exchange]] = defaultdict(deque)
        for exchange in record.exchanges:
            self._answers[exchange.key].append(exchange)
        # A scripted device's state is read below its own folder, which no replay can know: the script differs by that.
        self._state_key = next((e.key for e in record.exchanges if _is_state(e)), key_of(state_script(""), FOLDER))

    def now(self) -> float:
        """The clock of this machine when the last answer came, in the record."""
        return self._now_s

    def read_state(self) -> DeviceState:
        """The next state of the record."""
        return self._read_state(self._next(self._state_key, "the state of the device"))

    def states_until_now(self) -> list[DeviceState]:
        """The states that were read while the last script ran."""
        found = []
        while len(self._answers[self._state_key]) > 1 and self._answers[self._state_key][0].ended_s < self._now_s:
            now_s = self._now_s
            found.append(self.read_state())
            self._now_s = now_s
        return found

    def _read_state(self, exchange: Exchange) -> DeviceState:
        from edgedeploy.benchmarks.devices.queries import parse_state

        self._raise_failure(exchange)
        self._now_s = exchange.ended_s
        return parse_state(exchange.output().decode(errors="replace"), exchange.ended_s)

    def _run_script(
        self,
        script: str,
        *,
        stdin: Iterable[bytes] = (),
        hold_stdin: bool = False,
        on_stdout: Callable[[bytes], object] = lambda chunk: None,
        limits: Limits,
    ) -> ShellResult:
        exchange = self._next(key_of(script, FOLDER), script)
        self._now_s = exchange.first_output_s
        output = exchange.output()
        if output:
            on_stdout(output)
        self._now_s = exchange.ended_s
        self._raise_failure(exchange)
        return ShellResult(exchange.exit_code, exchange.stderr.encode())

    def _next(self, key: str, script: str) -> Exchange:
        answers = self._answers[key]
        if not answers:
            recorded = self._record.header.options
            raise ResultsInvalid(
                f"{self._record.path} has no answer to what is asked of the device",
                details=[*script.strip().splitlines()[-3:], f"it was recorded with {' '.join(recorded.artifacts)}"],
                hint="the same artifacts, of the same export, and the edgedeploy that recorded it "
                f"({self._record.header.edgedeploy_version})",
            )
        return answers.popleft()

    def _raise_failure(self, exchange: Exchange) -> None:
        if exchange.failure:
            raise FAILURES.get(exchange.failure, DeviceError)(exchange.message)


def _is_state(exchange: Exchange) -> bool:
    return "dumpsys thermalservice" in exchange.script


class ReplayClock(Clock):
    """Waits for nothing: what happened meanwhile is in the record."""

    def __init__(self, device: ReplayDevice) -> None:
        self._device = device

    def now(self) -> float:
        """Of the record."""
        return self._device.now()

    def sleep(self, seconds: float) -> None:
        """Returns at once."""
