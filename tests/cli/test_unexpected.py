"""What nobody expects: bugs, odd terminals, missing homes, signals; and the good results beside the bad ones."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.small_artifacts import convolution

ROOT = Path(__file__).parent.parent.parent


def run(*arguments: str | Path, prefix: tuple[str, ...] = (), program: str = "", **environment: str):
    """The command, with `program` run before it in the same process."""
    code = f"import sys; sys.path.append({str(ROOT)!r})\n{program}\nfrom edgedeploy.cli import main; main()"
    return subprocess.run(
        [*prefix, sys.executable, "-P", "-c", code, *map(str, arguments)],
        capture_output=True, text=True, env=os.environ | environment, errors="replace",
    )  # fmt: skip


BUG = """
import edgedeploy.pipeline.targets as t
def list_targets(): raise ZeroDivisionError('a\\x1b[31m bug')
t.list_targets = list_targets
"""


def test_an_unexpected_exception_is_three_lines_and_a_log_with_exit_code_70(tmp_path: Path) -> None:
    done = run("targets", program=BUG, EDGEDEPLOY_CACHE_DIR=str(tmp_path))
    assert done.returncode == 70
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    assert lines[0] == "error: ZeroDivisionError: a\\x1b[31m bug"
    log = Path(lines[2].removeprefix("  log: "))
    assert log.is_relative_to(tmp_path)
    assert "Traceback" in log.read_text()
    assert "'targets'" in log.read_text()


def test_debug_shows_the_traceback_of_a_bug(tmp_path: Path) -> None:
    assert "Traceback" in run("--debug", "targets", program=BUG, EDGEDEPLOY_CACHE_DIR=str(tmp_path)).stderr


def test_a_bug_is_reported_where_no_cache_can_be_written() -> None:
    done = run("targets", program=BUG, EDGEDEPLOY_CACHE_DIR="/proc/nothing", TMPDIR="/proc")
    assert done.returncode == 70
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_greek_letters_gets_a_table_all_the_same(encoding: str) -> None:
    done = run("targets", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert "tflite-int8" in done.stdout


def test_without_home_or_user_entry_the_cache_is_a_temporary_folder(tmp_path: Path) -> None:
    program = (
        "import os; os.environ.pop('HOME', None); os.environ.pop('XDG_CACHE_HOME', None)\n"
        "os.environ.pop('EDGEDEPLOY_CACHE_DIR', None)\n"
        "from edgedeploy.core.storage.cache import cache_folder; print(cache_folder('weights'))"
    )
    user = ("unshare", "--user", "--map-user=12345")
    done = run("targets", prefix=user, program=program, TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.splitlines()[0]) == tmp_path / "edgedeploy-cache-12345" / "weights"


def test_a_hangup_ends_a_command_like_ctrl_c_and_leaves_no_temporary_folder(tmp_path: Path) -> None:
    program = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # under nohup it is ignored
        "import edgedeploy.pipeline.targets as t, time\nfrom edgedeploy.core.storage.files import private_folder\n"
        "def list_targets():\n    with private_folder(): print('here', flush=True); time.sleep(60)\n"
        "t.list_targets = list_targets"
    )
    code = f"import sys; sys.path.append({str(ROOT)!r})\n{program}\nfrom edgedeploy.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", code, "targets"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(tmp_path)}, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    assert len(list(tmp_path.iterdir())) == 1
    process.send_signal(signal.SIGHUP)
    assert process.wait(10) == 129
    assert list(tmp_path.iterdir()) == []


def test_one_bad_artifact_hides_no_good_one(tmp_path: Path) -> None:
    good, bad = convolution(tmp_path / "a" / "good").folder, convolution(tmp_path / "a" / "bad").folder
    wrong = convolution(tmp_path / "a" / "wrong", golden_factor=2.0).folder
    (bad / "model.onnx").write_bytes(b"other")
    done = run("verify", bad, wrong, good, "--json")
    assert [row["artifact"] for row in json.loads(done.stdout)] == [str(good)]
    assert done.returncode == 2
    assert "do not belong together" in done.stderr
    assert "does not compute what the network computes" in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("bench", "x", "--threads", "0"), ("bench", "x", "--threads", "99999"), ("bench", "x", "--min-secs", "nan"),
        ("bench", "x", "--max-secs", "inf"), ("bench", "x", "--num-runs", "1000000000000"),
        ("bench", "x", "--cooldown", "nan"), ("bench", "x", "--max-start-temp", "nan"),
        ("verify", "x", "--threads", "99999"),
        ("export", "xformer", "-t", "onnx-fp32", "--num-calib", "1000000000"),
        ("export", "xformer", "-t", "onnx-fp32", "--num-classes", "1000000000"),
        ("export", "xformer", "-t", "onnx-fp32", "--input-size", "99999x32"),
        ("export", "xformer", "-t", "onnx-fp32", "--input-size", "²x32"),
    ],
)  # fmt: skip
def test_numbers_out_of_bounds_are_wrong_use(options: tuple[str, ...], tmp_path: Path) -> None:
    start = time.monotonic()
    done = run(*options)
    assert done.returncode == 2, done.stderr
    assert options[-2].lstrip("-") in done.stderr or "is not an input size" in done.stderr
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    "error",
    [
        "MemoryError",
        "RuntimeError('std::bad_alloc')",
        "ImportError('libtorch.so: failed to map segment from shared object')",
    ],
)
def test_too_little_memory_is_no_bug(error: str) -> None:
    done = run("targets", program=BUG.replace("ZeroDivisionError('a\\x1b[31m bug')", error))
    assert done.returncode == 3
    assert "too little memory" in done.stderr


def test_what_is_no_exception_is_reported_without_a_traceback(tmp_path: Path) -> None:
    program = BUG.replace("raise ZeroDivisionError('a\\x1b[31m bug')", "raise type('Odd', (BaseException,), {})('odd')")
    done = run("targets", program=program, EDGEDEPLOY_CACHE_DIR=str(tmp_path))
    assert done.returncode == 70
    assert "Traceback" not in done.stderr
    assert "error: Odd: odd" in done.stderr


def test_an_error_of_any_length_fits_a_terminal() -> None:
    raised = "raise __import__('edgedeploy.core.errors').core.errors.UsageError('x' * 9999)"
    done = run("targets", program=BUG.replace("raise ZeroDivisionError('a\\x1b[31m bug')", raised))
    assert done.returncode == 2
    assert len(done.stderr) < 2100
