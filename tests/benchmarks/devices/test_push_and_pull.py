"""Files are copied whole, once, and only where they belong: on a phone, on a board, on this machine."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from edgedeploy.benchmarks.devices import remote
from edgedeploy.benchmarks.devices.remote import RemoteDevice
from edgedeploy.benchmarks.devices.transports.local_shell import LocalConnection
from edgedeploy.core.errors import DeviceError, UsageError
from tests.phones import eventually

# Names that would do harm in a shell if they were not quoted.
NASTY_NAMES = [
    "a b.bin",
    "it's.bin",
    'say "hi".bin',
    "line\nbreak.bin",
    "tab\t.bin",
    "$(touch broken_out).bin",
    "`touch broken_out`.bin",
    "; touch broken_out;.bin",
    "&& touch broken_out",
    "| touch broken_out",
    "> broken_out",
    "*?[a-z].bin",
    "-rf",
    "--help",
    "~root",
    "#comment.bin",
    "back\\slash.bin",
    "!history.bin",
    "%s%n.bin",
    "überlänge-模型.bin",
    "'; touch broken_out; '",
    "\\'; touch broken_out",
    "$HOME",
    " leading and trailing ",
]


def write(path: Path, content: bytes, *, executable: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755 if executable else 0o644)
    return path


def test_a_file_comes_back_unchanged(device: RemoteDevice, tmp_path: Path) -> None:
    source = write(tmp_path / "model.bin", os.urandom(3_000_001))
    device.push(source, "models/model.bin")
    assert device.pull("models/model.bin", tmp_path / "back.bin").read_bytes() == source.read_bytes()
    assert device.list() == ("models/model.bin",)


def test_an_empty_file_comes_back_empty(device: RemoteDevice, tmp_path: Path) -> None:
    device.push(write(tmp_path / "none", b""), "none")
    assert device.pull("none", tmp_path / "back").read_bytes() == b""


def test_a_file_that_is_there_already_is_not_sent_again(device: RemoteDevice, tmp_path: Path) -> None:
    source = write(tmp_path / "model.bin", b"weights" * 1000)
    assert device.push(source, "model.bin").sent_bytes == 7000
    again = device.push(source, "model.bin")
    assert (again.sent_files, again.skipped_files, again.skipped_bytes) == (0, 1, 7000)


def test_a_file_that_changed_on_either_side_is_sent_again(device: RemoteDevice, tmp_path: Path) -> None:
    source = write(tmp_path / "model.bin", b"first")
    device.push(source, "model.bin")
    write(source, b"other")
    assert device.push(source, "model.bin").sent_files == 1
    device.run(["sh", "-c", "printf XXXXX >model.bin"])
    assert device.push(source, "model.bin").sent_files == 1
    assert device.pull("model.bin", tmp_path / "back").read_bytes() == b"other"


def test_of_a_folder_only_what_is_new_is_sent(device: RemoteDevice, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    for number in range(4):
        write(bundle / f"lib{number}.so", bytes([number]) * 100)
    write(bundle / "deep" / "notice.txt", b"licence")
    first = device.push(bundle, "bundles/x")
    write(bundle / "lib3.so", b"new")
    second = device.push(bundle, "bundles/x")
    assert (first.sent_files, second.sent_files, second.skipped_files) == (5, 1, 4)
    assert len(device.list()) == 5


def test_progress_never_goes_back_and_ends_at_the_whole(device: RemoteDevice, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write(tmp_path / "f" / "one", os.urandom(400_000))
    write(tmp_path / "f" / "two", os.urandom(100_000))
    device.push(tmp_path / "f", "f", progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert len(seen) > 4
    assert seen[-1] == (500_000, 500_000)


def test_a_program_stays_a_program_and_data_stays_data(device: RemoteDevice, tmp_path: Path) -> None:
    program = write(tmp_path / "hello", b"#!/bin/sh\necho hello\n", executable=True)
    device.push(program, "hello")
    assert device.run(["./hello"]).stdout == "hello\n"
    program.chmod(0o644)
    assert device.push(program, "hello").sent_files == 0  # the same bytes: only the mode is set
    assert device.run(["./hello"]).exit_code == 126


@pytest.mark.parametrize("name", NASTY_NAMES)
def test_every_name_is_quoted(own_folders: None, tmp_path: Path, name: str) -> None:
    device = RemoteDevice(LocalConnection(tmp_path / f"folder of {name}"))
    source = write(tmp_path / "source", name.encode())
    device.push(source, f"names/{name}")
    assert device.pull(f"names/{name}", tmp_path / "back").read_bytes() == name.encode()
    result = device.run(["printf", "%s", name], cwd="names", environment={"WORD": name})
    assert (result.stdout, result.stderr) == (name, "")
    assert device.list() == (f"names/{name}",)
    device.remove(f"names/{name}")
    assert device.list() == ()


def test_every_name_is_quoted_on_the_phone_which_has_another_shell(phone_device: RemoteDevice, tmp_path: Path) -> None:
    for name in NASTY_NAMES:
        write(tmp_path / "names" / name, name.encode())
    phone_device.push(tmp_path / "names", "names")
    assert phone_device.list() == tuple(sorted(f"names/{name}" for name in NASTY_NAMES))
    result = phone_device.run(["printf", "%s|", *NASTY_NAMES], cwd="names")
    assert (result.stdout, result.stderr) == ("".join(f"{name}|" for name in NASTY_NAMES), "")
    for name in NASTY_NAMES[::4]:
        assert phone_device.pull(f"names/{name}", tmp_path / "back").read_bytes() == name.encode()
        phone_device.remove(f"names/{name}")
    assert len(phone_device.list()) == len(NASTY_NAMES) - len(NASTY_NAMES[::4])


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b"])
def test_a_path_outside_the_folder_is_refused(device: RemoteDevice, tmp_path: Path, name: str) -> None:
    for operation in (
        lambda: device.push(write(tmp_path / "x", b"x"), name),
        lambda: device.pull(name, tmp_path / "y"),
        lambda: device.remove(name),
        lambda: device.run(["true"], cwd=name),
    ):
        with pytest.raises(UsageError, match="outside the device's folder"):
            operation()


def test_a_zero_byte_is_refused_before_a_shell_is_started(device: RemoteDevice) -> None:
    with pytest.raises(UsageError, match="zero byte"):
        device.run(["echo", "a\0b"])


def test_pulling_a_missing_file_is_an_error_and_leaves_no_file(device: RemoteDevice, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"there is no file .*nothing\.bin"):
        device.pull("nothing.bin", tmp_path / "out" / "nothing.bin")
    assert list((tmp_path / "out").iterdir()) == []


def test_pushing_a_missing_file_is_an_error(device: RemoteDevice, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        device.push(tmp_path / "absent", "absent")


def test_a_file_that_arrives_damaged_is_not_kept(
    phone_device: RemoteDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "model.bin", b"good" * 1000)
    monkeypatch.setattr(remote, "read_chunks", lambda file, moved: iter([b"bad!" * 1000]))
    with pytest.raises(DeviceError, match="it arrived damaged"):
        phone_device.push(source, "model.bin")
    assert phone_device.list() == ()


def test_an_older_file_stays_until_the_new_one_is_whole(
    phone_device: RemoteDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "model.bin", b"old")
    phone_device.push(source, "model.bin")
    write(source, b"new")
    monkeypatch.setattr(remote, "read_chunks", lambda file, moved: iter([b"ne"]))
    with pytest.raises(DeviceError, match="damaged"):
        phone_device.push(source, "model.bin")
    assert phone_device.pull("model.bin", tmp_path / "back").read_bytes() == b"old"


def interrupt(done: int, total: int) -> None:
    """Ctrl-C at the first sign of progress."""
    raise KeyboardInterrupt


def test_ctrl_c_while_pushing_leaves_no_partial_file(device: RemoteDevice, tmp_path: Path) -> None:
    source = write(tmp_path / "model.bin", os.urandom(4_000_000))

    def interrupt_half_way(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        device.push(source, "model.bin", progress=interrupt_half_way)
    assert eventually(lambda: device.list() == ())
    assert device.push(source, "model.bin").sent_files == 1


SLOW_TOOLS = {
    "rm": 'sleep 0.5; exec /bin/rm "$@"',
    # dies of the signal, which the shell then reports when nobody reads its stderr any more
    "cat": "trap 'sleep 0.5; trap - TERM; kill -TERM $$' TERM; /bin/cat; sleep 1",
}


@pytest.mark.parametrize("tool", SLOW_TOOLS)
def test_the_signal_that_ends_a_push_does_not_interrupt_its_cleanup(
    tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = write(tmp_path / "bin" / tool, f"#!/bin/sh\n{SLOW_TOOLS[tool]}\n".encode(), executable=True)
    monkeypatch.setenv("PATH", str(slow.parent), prepend=os.pathsep)
    kill = os.killpg

    def kill_late(group: int, how: int) -> None:
        time.sleep(0.25)
        kill(group, how)

    monkeypatch.setattr(os, "killpg", kill_late)
    device = RemoteDevice(LocalConnection(tmp_path / "device"))
    with pytest.raises(KeyboardInterrupt):
        device.push(write(tmp_path / "model.bin", os.urandom(100_000)), "model.bin", progress=interrupt)
    assert eventually(lambda: device.list() == ())


def test_ctrl_c_while_pulling_leaves_no_file(device: RemoteDevice, tmp_path: Path) -> None:
    device.push(write(tmp_path / "model.bin", os.urandom(2_000_000)), "model.bin")
    with pytest.raises(KeyboardInterrupt):
        device.pull("model.bin", tmp_path / "out" / "model.bin", progress=interrupt)
    assert list((tmp_path / "out").iterdir()) == []


def test_removing_the_folder_leaves_nothing_and_can_be_repeated(device: RemoteDevice, tmp_path: Path) -> None:
    device.push(write(tmp_path / "x", b"x"), "deep/er/x")
    device.remove("")
    device.remove("")
    assert device.list() == ()
    assert device.ask(f"ls -d {device.folder}")[0] != 0
