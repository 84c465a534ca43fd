"""What converters print and change stays inside the export."""

from __future__ import annotations

import logging
import os
import random
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import torch

from edgedeploy.exporters.process.quiet import process_state_kept

IN_THREADS = """
import os, sys, threading, time
from pathlib import Path
from edgedeploy.exporters.process.quiet import quiet

def export(name):
    log = Path(sys.argv[1]) / name
    for n in range(20):
        with quiet(log), quiet(log):
            os.write(1, f"{name} {n}\\n".encode())
            time.sleep(0.001)
    log.rename(log.with_suffix(".log"))

before = len(os.listdir("/proc/self/fd"))
threads = [threading.Thread(target=export, args=[name]) for name in "ab"]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print("stdout", len(os.listdir("/proc/self/fd")) - before)
print("stderr", file=sys.stderr)
"""


def test_exports_in_threads_leave_stdout_and_stderr_whole_and_logs_apart(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", IN_THREADS, tmp_path], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("stdout 0\n", "stderr\n")
    for name in "ab":
        assert (tmp_path / f"{name}.log").read_text().splitlines() == [f"{name} {n}" for n in range(20)]


def test_closed_standard_streams_stay_closed(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from edgedeploy.exporters.process.quiet import quiet\n"
        "with quiet(Path(sys.argv[1])): os.write(2, b'inside')\n"
        "try: os.fstat(1)\n"
        "except OSError: os.write(2, b'closed')"
    )
    command = ["sh", "-c", '"$@" >&-', "sh", sys.executable, "-c", program, str(tmp_path / "log")]
    assert subprocess.run(command, capture_output=True, text=True).stderr == "closed"
    assert (tmp_path / "log").read_text() == "inside"


def state() -> list[object]:
    return [
        random.getstate(), str(np.random.get_state(legacy=True)), torch.get_rng_state().numpy().tobytes(),
        list(warnings.filters), list(logging.root.handlers), logging.root.level, list(sys.path), dict(os.environ),
        torch.get_default_dtype(),
    ]  # fmt: skip


def change_everything() -> None:
    random.random(), np.random.rand(), torch.rand(1)
    warnings.simplefilter("ignore")
    logging.basicConfig(level=1, force=True)
    sys.path.append("/nowhere")
    os.environ["EDGEDEPLOY_TEST"] = "1"
    os.environ.pop("HOME", None)
    torch.set_default_dtype(torch.float64)


def test_the_state_of_the_process_is_as_before_after_an_error_and_with_threads() -> None:
    before = state()
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with process_state_kept():
            entered.set()
            leave.wait(10)
            change_everything()

    thread = threading.Thread(target=other)
    try:
        with process_state_kept():
            thread.start()
            entered.wait(10)
            change_everything()
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        leave.set()
    thread.join()
    assert state() == before
