"""Ctrl-C at any moment of a bench: no file, lock, mode or process stays on the phone, and the measured rows are printed.

The phone is scripted, so that it can be slow where the interruption is to come. tests/pipeline/test_bench_on_a_phone.py
does the same to a running bench on the emulated phone.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import edgedeploy
from edgedeploy.benchmarks.devices import use_device
from edgedeploy.benchmarks.devices.transports.scripted import ScriptedDevice
from edgedeploy.core.artifact import Artifact
from tests.phones import eventually
from tests.scripted_phone import ADDRESS, opened, processes_on
from tests.small_artifacts import convolution

ROOT = Path(__file__).parent.parent.parent

# A program of the phone that marks that it was reached, and then takes its time.
SLOW = "touch $SCRIPTED/reached; sleep 60; exit 1"
SLOW_TO_WRITE = f'[ $# = 0 ] || exec /bin/cat "$@"\nhead -c 100000; {SLOW}'
SLOW_TO_READ = f'case $1 in */outputs) head -c 100 "$1"; {SLOW};; esac\nexec /bin/cat "$@"'


@dataclass(frozen=True)
class Moment:
    """When the interruption comes.

    Attributes:
        options: of bench.
        programs: of the phone, by name, that are slow.
        printed: what bench has printed to stderr by then; by default the moment is when a slow program was reached.
        big_c: the phone's temperature.
        rows: how many rows are complete by then.
    """

    options: tuple[str, ...] = ()
    programs: dict[str, str] = field(default_factory=dict)
    printed: str = ""
    big_c: float = 31.2
    rows: int = 0


MOMENTS = {
    "asking what the phone is": Moment(programs={"getprop": SLOW}),
    "waiting for the lock": Moment(programs={"mkdir": SLOW}),
    "switching a mode on": Moment(
        programs={"cmd": f'echo "$*" >>"$SCRIPTED/cmd.log"\ncase $* in *true) {SLOW};; esac'}
    ),
    "pushing a big model": Moment(programs={"cat": SLOW_TO_WRITE}),
    "waiting for the start temperature": Moment(("--max-start-temp", "40"), printed="waiting for 40 °C", big_c=60.0),
    "cooling down": Moment(("--cooldown", "60"), printed="cooling down for 60 s", rows=1),
    "measuring": Moment(("--min-secs", "60")),
    "pulling the outputs": Moment(programs={"cat": SLOW_TO_READ}),
}


@pytest.fixture(autouse=True)
def _runner_is_pushed(pixel: ScriptedDevice, small: Artifact) -> None:
    """So that the artifact is what is pushed."""
    if not any(name.startswith("bundles/") for name in opened(pixel.root).list()):
        edgedeploy.bench([small], device=ADDRESS, num_runs=1, launches=1, min_secs=0)
        (pixel.root / "cmd.log").unlink()


@pytest.fixture
def bench(pixel: ScriptedDevice, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts the command for two artifacts of 1 MiB; stdout and stderr go to files."""
    for name in ("one", "two"):
        convolution(tmp_path / "artifacts" / name, name=name, channels=512)

    def start(*options: str) -> subprocess.Popen[str]:
        quick = ["--device", ADDRESS, "--num-runs", "3", "--launches", "1", "--min-secs", "0", "--json", "r.json"]
        return subprocess.Popen(
            [sys.executable, "-m", "tests.scripted_phone", str(pixel.root), "bench", *quick, *options],
            cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=(tmp_path / "stdout").open("w"), stderr=(tmp_path / "stderr").open("w"), text=True,
        )  # fmt: skip

    return start


def slow(pixel: ScriptedDevice, name: str, text: str) -> None:
    pixel.write(f"programs/{name}", f"#!/bin/sh\n{text}\n")
    (pixel.root / "programs" / name).chmod(0o755)


def measuring(pixel: ScriptedDevice) -> bool:
    return any(name.startswith("run/") for name in opened(pixel.root).list())


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_ctrl_c_leaves_nothing_on_the_phone_whatever_it_interrupts(
    moment: Moment, pixel: ScriptedDevice, bench: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    pixel.heat(status=0, big_c=moment.big_c)
    for name, text in moment.programs.items():
        slow(pixel, name, text)
    process = bench(*moment.options)

    def has_come() -> bool:
        if moment.printed:
            return moment.printed in (tmp_path / "stderr").read_text()
        return (pixel.root / "reached").exists() if moment.programs else measuring(pixel)

    assert eventually(has_come, 60)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    stderr = (tmp_path / "stderr").read_text()
    assert "Traceback" not in stderr
    assert stderr.endswith("interrupted; nothing half-written is left\n")
    for name in moment.programs:
        (pixel.root / "programs" / name).unlink()
    assert eventually(lambda: processes_on(pixel) == [])
    phone = opened(pixel.root)
    assert [name for name in phone.list() if name.startswith(("work", "run", "tmp", "lock"))] == []
    with use_device(phone) as lock:
        assert lock.took_over is None
    modes = [command.split()[-1] for command in pixel.commands()]
    assert modes in ([], ["true", "false"])
    rows = json.loads((tmp_path / "r.json").read_text())["measurements"] if moment.rows else []
    assert len(rows) == moment.rows == (tmp_path / "stdout").read_text().count("onnx-fp32")
    restored = {"name": "fixed performance mode", "outcome": "restored"}
    assert all(row["condition_log"][-1] == restored for row in rows)


def test_ctrl_c_while_a_lost_phone_is_waited_for_ends_at_once(
    pixel: ScriptedDevice, bench: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = bench("--min-secs", "60")
    assert eventually(lambda: measuring(pixel), 60)
    pixel.write("unplugged", "")
    for pid in processes_on(pixel):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: "waiting for it, at most 180 s" in (tmp_path / "stderr").read_text())
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert "Traceback" not in (tmp_path / "stderr").read_text()
    (pixel.root / "unplugged").unlink()
    with use_device(opened(pixel.root)) as lock:  # the next user sweeps
        assert lock.took_over is not None
        assert not measuring(pixel)


INTERRUPTED_NETWORK = """
import os, signal
from edgedeploy.cli.interrupts import handle_signals
from edgedeploy.models.loading.user_code import importable
handle_signals()
try:
    with importable(None):
        os.kill(os.getpid(), signal.SIGINT)
except SystemExit as error:
    raise RuntimeError("the network ended the program") from error
"""


def test_ctrl_c_while_a_network_runs_is_no_exit_of_the_network() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED_NETWORK], capture_output=True, text=True, check=False)
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr == "\ninterrupted; nothing half-written is left\n"
