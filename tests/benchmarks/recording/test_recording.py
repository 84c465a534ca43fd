"""bench --record and --device replay: the same rows from a file, without names; what is wrong with a file is said."""

from __future__ import annotations

import getpass
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import edgedeploy
from edgedeploy.benchmarks.comparison.rows import context_differences
from edgedeploy.benchmarks.devices.transports.scripted import ScriptedDevice
from edgedeploy.benchmarks.history.records import device_file
from edgedeploy.benchmarks.recording.records import key_of, read_record
from edgedeploy.core.artifact import Artifact
from edgedeploy.core.errors import ResultsInvalid, UsageError
from edgedeploy.core.measurement import Measurement
from tests.phones import need
from tests.scripted_phone import ADDRESS
from tests.small_artifacts import convolution

QUICK: dict[str, Any] = {"num_runs": 5, "launches": 2, "warmup_runs": 1, "min_secs": 0.0}


def plain(row: Measurement) -> Measurement:
    """A row without what a replay says about itself; the clock of a state is read a moment after its answer came."""
    states = dict.fromkeys(("state_before", "state_after"))
    return replace(row, notes=(), started_at="", state_during=(), host_agreement=None, **states)  # type: ignore[arg-type]


@pytest.fixture
def recorded(pixel: ScriptedDevice, small: Artifact, tmp_path: Path) -> tuple[Path, Measurement]:
    """A bench on a phone that throttles, and its record."""
    pixel.heat(status=2, big_c=88.5)
    file = tmp_path / "phone.jsonl"
    (row,) = edgedeploy.bench([small], device=ADDRESS, record=file, profile=True, **QUICK)
    return file, row


def test_the_line_runs_again_without_the_device(
    recorded: tuple[Path, Measurement], small: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, row = recorded
    (again,) = edgedeploy.bench([small], device=f"replay:{file}")
    assert again.throttled_samples
    assert again.profile == row.profile is not None
    assert again.state_before is not None
    assert again.state_before.temperatures_c == {"BIG": 88.5, "VIRTUAL-SKIN": 83.5}
    device = replace(row.device, name="adb:SERIAL", serial="SERIAL")
    assert plain(again) == plain(replace(row, device=device))
    assert context_differences(row, again) == ()
    assert again.notes[0] == "replayed from phone.jsonl: nothing was run"
    assert read_record(file).measurements[0].samples_ns == row.samples_ns


def test_names_are_left_out_unless_they_are_asked_for(
    pixel: ScriptedDevice, small: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    pixel.properties({"ro.product.model": "the phone of ada", "ro.product.cpu.abi": "x86_64", "ro.serialno": "R5CT10"})
    for names in (False, True):
        file = tmp_path / f"{names}.jsonl"
        edgedeploy.bench([small], device=ADDRESS, record=file, record_names=names, **QUICK)
        text = file.read_text()
        assert [secret in text for secret in ("R5CT10", "phone of ada")] == [names, names]
        assert read_record(file).header.names_kept == names


def test_this_machine_is_recorded_through_its_shell(tmp_path: Path, small: Artifact, own_folders: None) -> None:
    need(["g++", "cmake", "ninja"])
    file = tmp_path / "local.jsonl"
    (row,) = edgedeploy.bench([small], record=file, **QUICK)
    (again,) = edgedeploy.bench([small], device=f"replay:{file}")
    assert (row.device.kind, row.host_agreement) == ("local", None)
    assert plain(again) == plain(row)


def test_a_recorded_run_of_this_machine_is_compared_with_one_that_was_not(
    tmp_path: Path, small: Artifact, own_folders: None
) -> None:
    need(["g++", "cmake", "ninja"])
    (kept,) = edgedeploy.bench([small], record=tmp_path / "local.jsonl", **QUICK)
    (other,) = edgedeploy.bench([small], **QUICK)
    (replayed,) = edgedeploy.bench([small], device=f"replay:{tmp_path / 'local.jsonl'}")
    assert kept.device == other.device == replayed.device
    assert device_file(kept.device) == device_file(other.device)
    assert context_differences(kept, other) == context_differences(kept, replayed) == ()


def test_another_artifact_has_no_answer_in_the_record(recorded: tuple[Path, Measurement], tmp_path: Path) -> None:
    other = convolution(tmp_path / "other", channels=16)
    with pytest.raises(ResultsInvalid, match="has no answer to what is asked of the device") as caught:
        edgedeploy.bench([other], device=f"replay:{recorded[0]}")
    assert "it was recorded with" in str(caught.value)


def test_instructions_have_no_dialogue(tmp_path: Path, small: Artifact) -> None:
    with pytest.raises(UsageError, match="--record keeps the dialogue with a device, and qemu has none"):
        edgedeploy.bench([small], device="qemu", record=tmp_path / "record.jsonl")


HEADER = (
    '{"header":{"schema_version":1,"recorded_at":"","info":{"kind":"adb","name":"adb:x"},"abi":"arm64","bundles":{},'
    '"options":{},"names_kept":false}}'
)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "it is not a record"),
        ("hello\n", 1, "JSON is malformed"),
        ('{"measurements": []}\n', 1, "it is not a line of a record"),
        (HEADER.replace('schema_version":1', 'schema_version":9') + "\n", 1, "it has schema version 9"),
        ('{"end":0}\n', 1, "a record begins with a header"),
        (HEADER + "\n", 1, "the file is cut off"),
        (HEADER + '\n{"end":5}\n', 2, "the file is cut off"),
        (HEADER + '\n{"exchange":{"key":"k"}}\n{"end":2}\n', 2, "object missing required field `script`"),
        (
            HEADER + '\n{"exchange":{"key":"","script":"","exit_code":0,"began_s":0,"first_output_s":0,"ended_s":0,'
            '"stdout_zlib":"AAAA"}}\n{"end":2}\n',
            2,
            "error -3",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(tmp_path: Path, text: str, line: int, reason: str) -> None:
    file = tmp_path / "record.jsonl"
    file.write_text(text)
    with pytest.raises(ResultsInvalid, match=f"record.jsonl, line {line}: ") as caught:
        read_record(file)
    assert reason.lower() in caught.value.message.lower()
    assert caught.value.exit_code == 2


def test_a_record_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ResultsInvalid, match="cannot be read: No such file"):
        edgedeploy.bench([], device=f"replay:{tmp_path / 'none.jsonl'}")


def test_a_script_is_known_again_without_its_folder_and_tokens() -> None:
    first = key_of("cd '/home/ada b/x'; echo 0123456789abcdef", "/home/ada b")
    assert first == key_of("cd /data/x; echo fedcba9876543210", "/data")
    assert first != key_of("cd /data/y; echo fedcba9876543210", "/data")
