"""A command's exit code, stdout and stderr arrive unchanged; nothing that was started keeps running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.benchmarks.devices.transports.local_shell import LocalConnection
from edgedeploy.core.errors import DeviceError, UsageError
from tests.phones import eventually


def running(device: RemoteDevice, word: str) -> bool:
    """Whether a process of the device has `word` in its command line."""
    # The word is cut in two, so that the script that looks for it does not find itself.
    _, found = device.ask(
        f"word={word[:3]}; word=${{word}}{word[3:]}\n"
        'for file in /proc/[0-9]*/cmdline; do grep -q "$word" $file && echo $file; done 2>/dev/null'
    )
    return bool(found.strip())


@pytest.mark.parametrize("code", [0, 3, 127, 255])
def test_every_exit_code_arrives(device: RemoteDevice, code: int) -> None:
    assert device.run(["sh", "-c", f"exit {code}"]).exit_code == code


def test_stdout_and_stderr_arrive_apart(device: RemoteDevice) -> None:
    result = device.run(["sh", "-c", "echo out; echo err >&2; printf last"])
    assert (result.stdout, result.stderr) == ("out\nlast", "err\n")


def test_a_large_output_arrives_whole(device: RemoteDevice) -> None:
    result = device.run(["sh", "-c", "seq 1 100000; seq 1 100000 >&2"])
    expected = "".join(f"{number}\n" for number in range(1, 100001))
    assert result.stdout == expected
    assert result.stderr == expected


def test_lines_arrive_while_the_program_runs(device: RemoteDevice) -> None:
    lines: list[str] = []
    result = device.run(["sh", "-c", "echo 1; echo 22; printf 333"], on_line=lines.append)
    assert lines == ["1", "22", "333"]
    assert result.stdout == "1\n22\n333"


def test_a_program_ended_by_a_signal_reports_which(device: RemoteDevice) -> None:
    result = device.run(["sh", "-c", "echo before; kill -KILL $$"])
    assert (result.signal, result.stdout) == (9, "before\n")


def test_a_missing_program_is_exit_code_127_and_named(device: RemoteDevice) -> None:
    result = device.run(["./no_such_program"])
    assert result.exit_code == 127
    assert "no_such_program" in result.stderr


def test_environment_and_folder_are_those_asked_for(device: RemoteDevice, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    device.push(tmp_path / "x", "here/x")
    result = device.run(
        ["sh", "-c", 'echo "$GREETING" "$ORT_DISABLE_TELEMETRY"; ls'], cwd="here", environment={"GREETING": "a 'b'"}
    )
    assert result.stdout == "a 'b' 1\nx\n"


def test_a_bad_variable_name_or_program_is_refused(device: RemoteDevice) -> None:
    with pytest.raises(UsageError):
        device.run(["true"], environment={"A=1; B": "x"})
    with pytest.raises(UsageError):
        device.run(["-c"])


def test_stdin_is_empty(device: RemoteDevice) -> None:
    assert device.run(["cat"]).stdout == ""


def test_a_timeout_kills_the_program_and_its_children(device: RemoteDevice) -> None:
    with pytest.raises(DeviceError, match="not finished after 1 s"):
        device.run(["sh", "-c", "sleep 98761 & sleep 98762"], timeout=1)
    assert eventually(lambda: not running(device, "98761") and not running(device, "98762"))
    assert device.list() == ()  # not even its pid file


def test_an_error_in_the_listener_kills_the_program(device: RemoteDevice) -> None:
    def listen(line: str) -> None:
        raise ValueError(line)

    with pytest.raises(ValueError, match="garbage"):
        device.run(["sh", "-c", "echo garbage; sleep 98763"], on_line=listen)
    assert eventually(lambda: not running(device, "98763"))
    assert device.list() == ()


def test_what_a_program_leaves_running_is_ended_with_it(device: RemoteDevice) -> None:
    assert device.run(["sh", "-c", "sleep 98764 >/dev/null 2>&1 & exit 5"]).exit_code == 5
    assert eventually(lambda: not running(device, "98764"))


CLIENT = """
    import sys
    from pathlib import Path
    from edgedeploy.benchmarks.devices.remote import RemoteDevice
    from edgedeploy.benchmarks.devices.transports.adb import open_adb
    from edgedeploy.benchmarks.devices.transports.local_shell import LocalConnection
    kind, name, word = sys.argv[1:]
    device = RemoteDevice(open_adb(name) if kind == "adb" else LocalConnection(Path(name)))
    print("ready", flush=True)
    try:
        device.run(["sh", "-c", f"echo started; sleep {word}"], on_line=lambda line: print(line, flush=True))
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        sys.exit(130)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
@pytest.mark.parametrize("kind", ["adb", "local"])
def test_a_client_that_ends_takes_the_program_with_it(
    kind: str, how: signal.Signals, phone_device: RemoteDevice, tmp_path: Path
) -> None:
    word = f"9877{how.value}{len(kind)}"
    name = phone_device.address.removeprefix("adb:") if kind == "adb" else str(tmp_path)
    device = phone_device if kind == "adb" else RemoteDevice(LocalConnection(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CLIENT), kind, name, word],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        start_new_session=True,
    ) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "ready\n"
        assert client.stdout.readline() == "started\n"
        assert running(device, word)
        client.send_signal(how)
        assert client.wait(20) == (130 if how == signal.SIGINT else -how.value)
    assert eventually(lambda: not running(device, word))
    assert eventually(lambda: device.list() == ())


def test_ctrl_c_before_the_program_has_started_leaves_nothing_running(phone_device: RemoteDevice) -> None:
    word = "98779"
    name = phone_device.address.removeprefix("adb:")
    for delay in (0.0, 0.03, 0.1):
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(CLIENT), "adb", name, word],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
            start_new_session=True,
        ) as client:
            assert client.stdout is not None
            client.stdout.readline()
            eventually(lambda: False, delay)
            client.send_signal(signal.SIGINT)
            client.wait(20)
        assert eventually(lambda: not running(phone_device, word))
        assert eventually(lambda: phone_device.list() == ())
