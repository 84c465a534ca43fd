"""What an export of several targets takes here and in another version of this repository: wall time and memory.

    python -m edgedeploy.studies.export_time --other FOLDER [--pairs 2] [MODEL] [-- OPTIONS of export]

The two versions take turns, since the machine may be busy with other things too: the ratio of each pair is what counts.
Memory is the largest sum over all processes of the export of their proportional set size (shared pages are split among
those that share them), read twice a second. The artifacts of both are compared by their hashes.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from edgedeploy.core.artifact import Artifact, find_artifacts
from edgedeploy.core.child_processes import PACKAGE, child_environment, interpreter
from edgedeploy.core.storage.files import private_folder

TARGETS = "onnx-fp32,onnx-int8,executorch-fp32,executorch-int8,tflite-fp32,tflite-int8"
SAMPLING_S = 0.5


@dataclass(frozen=True)
class Run:
    """One export.

    Attributes:
        memory_bytes: the largest memory of all its processes together.
        hashes: of each artifact, by its target.
    """

    wall_s: float
    memory_bytes: int
    hashes: dict[str, str]


def run(package: Path, arguments: list[str], output: Path) -> Run:
    """Exports with the version whose package lies in this folder. Raises CalledProcessError."""
    command = [interpreter(), "-P", str(package / "launcher.py"), str(package), "edgedeploy", "export"]
    command += [*arguments, "--output", str(output)]
    start, largest = time.perf_counter(), 0
    process = subprocess.Popen(command, env=child_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        largest = max(largest, sum(_memory_bytes(number) for number in _descendants(process.pid)))
        time.sleep(SAMPLING_S)
    wall_s = time.perf_counter() - start
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    artifacts = [Artifact.load(folder) for folder in find_artifacts(output)]
    return Run(wall_s, largest, {made.manifest.target: made.manifest.sha256 for made in artifacts})


def _descendants(process: int) -> list[int]:
    """A process and all that it started, directly or not."""
    found = [process]
    for number in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{number}/task").iterdir():
                found += map(int, (task / "children").read_text(encoding="ascii").split())
    return found


def _memory_bytes(process: int) -> int:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("Pss:")).split()[1])
    return 0


def main() -> None:
    """Prints a line for each pair."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", nargs="?", default="edgenext-xx-small")
    parser.add_argument("--other", type=Path, required=True, help="a checkout of the version to compare with")
    parser.add_argument("--target", default=TARGETS)
    parser.add_argument("--pairs", type=int, default=2)
    chosen, options = parser.parse_known_args()
    arguments = [chosen.model, "--target", chosen.target, *options]
    print(f"{'pair':>4} {'other s':>8} {'here s':>8} {'ratio':>6} {'other MiB':>10} {'here MiB':>9}  artifacts")
    for pair in range(1, chosen.pairs + 1):
        with private_folder() as folder:
            other = run(chosen.other.resolve() / "edgedeploy", arguments, folder / "other")
            here = run(PACKAGE, arguments, folder / "here")
        memory = f"{other.memory_bytes / 2**20:10.0f} {here.memory_bytes / 2**20:9.0f}"
        same = "the same" if other.hashes == here.hashes else "differ"
        ratio = here.wall_s / other.wall_s
        print(f"{pair:4} {other.wall_s:8.1f} {here.wall_s:8.1f} {ratio:6.2f} {memory}  {same}", flush=True)


if __name__ == "__main__":
    main()
