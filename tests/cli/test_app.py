"""The command line from outside: what is printed where, and with which exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
COMMANDS = (
    "models",
    "targets",
    "weights",
    "export",
    "verify",
    "explain",
    "bench",
    "doctor",
    "devices",
    "clean",
    "runner",
)


def edgedeploy(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "edgedeploy", *arguments], capture_output=True, text=True, cwd=cwd, env=environment
    )


def test_help_lists_every_command() -> None:
    done = edgedeploy("--help")
    assert done.returncode == 0
    for command in COMMANDS:
        assert f"\n  {command} " in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_has_a_help_text_and_stands_in_the_readme(command: str) -> None:
    done = edgedeploy(command, "--help")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()[2].strip()) > 20
    assert f"edgedeploy {command}" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("command", ["models", "targets", "doctor"])
def test_listings_are_tables_for_people_and_records_for_programs(command: str) -> None:
    assert edgedeploy(command).stdout.count("\n") > 5
    rows = json.loads(edgedeploy(command, "--json").stdout)
    assert len(rows) > 5
    assert "name" in rows[0]


def test_models_can_be_narrowed_and_a_typo_is_answered_with_the_nearest_names() -> None:
    rows = json.loads(edgedeploy("models", "topformer", "--json").stdout)
    assert {row["name"].split("-")[0] for row in rows} == {"topformer"}
    done = edgedeploy("models", "topformr-tiny")
    assert done.returncode == 2
    assert "Did you mean 'topformer-tiny'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["export", "topformer-tyny", "-t", "tflite-int8"], 2, "Did you mean 'topformer-tiny'"),
        (["export", "topformer-tiny", "-t", "tflite-int9"], 2, "Did you mean 'tflite-int8'"),
        (["export", "topformer-tiny", "-t", "tflite-int9", "-t", "onnx-fp32"], 2, "Did you mean 'tflite-int8'"),
        (["export", "topformer-tiny", "-t", "onnx-fp32", "--input-size", "big"], 2, "'big' is not an input size"),
        (["export", "topformer-tiny", "-t", "onnx-fp32", "--input-size", "100"], 2, "must be multiples of 32"),
        (
            ["export", "topformer-tiny", "-t", "onnx-fp32", "--weights", "none.pth"],
            2,
            "there is no checkpoint none.pth",
        ),
        (["export", "topformer-tiny", "-t", "onnx-int8", "--calib", "none"], 2, "none is not a folder"),
        (["export", "topformer-tiny", "-t", "onnx-fp32", "-o", "/proc/none"], 3, "could not be written"),
        (["bench"], 2, "there is nothing to measure"),
        (["bench", "nothing"], 2, "unknown artifact 'nothing'"),
        (["bench", "--threads", "two"], 2, "--threads takes whole numbers"),
        (["verify", "."], 2, "is not an artifact"),
        (["verify", "missing/here"], 2, "there is no such file or folder"),
        (["explode"], 2, "No such command"),
    ],
)
def test_wrong_usage_is_one_clear_error_and_never_a_traceback(
    arguments: list[str], code: int, words: str, tmp_path: Path
) -> None:
    done = edgedeploy(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_where_an_expected_error_came_from() -> None:
    done = edgedeploy("--debug", "export", "topformer-tyny", "-t", "tflite-int8")
    assert done.returncode == 2
    assert "Traceback" in done.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_export_ends_quietly_and_leaves_nothing(how: signal.Signals, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "edgedeploy", "export", "topformer-tiny", "-t", "onnx-fp32"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (tmp_path / "artifacts").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(how)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode in (130, 143)
    assert "Traceback" not in stderr
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_closed_pipe_is_not_an_error() -> None:
    command = f"{sys.executable} -m edgedeploy models --json | head -c 10"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("redirection", "exit_code", "words"),
    [("> /dev/full", 3, "the disk is full"), (">&-", 0, ""), ("2>&-", 0, ""), (">&- 2>&- <&-", 0, "")],
)
def test_streams_that_are_full_or_closed_are_no_bug(redirection: str, exit_code: int, words: str) -> None:
    command = f"{sys.executable} -m edgedeploy targets {redirection}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == exit_code
    assert words in done.stderr
    assert "bug" not in done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_result_that_is_cut_off_is_an_error(unbuffered: str, tmp_path: Path) -> None:
    command = f"ulimit -f 2; {sys.executable} -m edgedeploy targets --json > {tmp_path / 'targets.json'}"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment)
    assert (done.returncode, (tmp_path / "targets.json").stat().st_size) == (3, 2048)
    assert done.stderr.startswith("error: ")


def test_a_current_folder_that_was_removed_is_told(tmp_path: Path) -> None:
    command = f"mkdir gone && cd gone && rmdir ../gone && {sys.executable} -m edgedeploy targets"
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: the current folder was removed")


def test_export_and_bench_work_with_no_other_flag_from_any_folder(tmp_path: Path) -> None:
    exported = edgedeploy("export", "topformer-tiny-cls", "--target", "onnx-fp32", cwd=tmp_path)
    assert exported.returncode == 0, exported.stderr
    assert "artifacts/topformer-tiny-cls/onnx-fp32" in exported.stdout
    assert "random weights" in exported.stderr
    measured = edgedeploy("bench", "--num-runs", "5", "--launches", "1", "--min-secs", "0", cwd=tmp_path)
    assert measured.returncode == 0, measured.stderr
    assert "milliseconds" in measured.stdout
    assert "topformer-tiny-cls  onnx-fp32" in measured.stdout
    record = json.loads(
        edgedeploy("bench", "--num-runs", "5", "--launches", "1", "--min-secs", "0", "--json", "-", cwd=tmp_path).stdout
    )
    assert len(record["measurements"][0]["samples_ns"]) == 5
