"""Does the cost of XFormer's attention grow linearly with the number of tokens?

    python -m edgedeploy.studies.attention_cost

Time and memory of cross feature attention from 256x256 to 1024x1024, beside softmax attention of the same width. Each
measurement is a process of its own (edgedeploy/attention_cost.py), because peak memory is a process's; the three layers
take turns, round by round, so that a machine that slows down slows all of them. A ratio is between the medians.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import edgedeploy
from edgedeploy.core.errors import RunnerFailed

BLOCKS = ("cross-feature", "softmax", "fused")
SIDES = (256, 512, 768, 1024)
ROUNDS = 3

Measure = Callable[[str, int], dict[str, Any]]


@dataclass
class Cost:
    """Of one layer at one image size, over all rounds."""

    tokens: int = 0
    samples_ns: list[int] = field(default_factory=list)
    peak_bytes: list[int] = field(default_factory=list)

    @property
    def ms(self) -> float:
        """Median time of one run."""
        return statistics.median(self.samples_ns) / 1e6

    @property
    def mib(self) -> float:
        """Median of the memory that running took."""
        return statistics.median(self.peak_bytes) / 2**20


def in_a_process(block: str, side: int) -> dict[str, Any]:
    """One measurement. Raises RunnerFailed."""
    root = str(Path(edgedeploy.__file__).resolve().parent.parent)
    paths = [path for path in (root, os.environ.get("PYTHONPATH", "")) if path]
    done = subprocess.run(
        [sys.executable, "-m", "edgedeploy.studies.attention_cost.worker", block, str(side)],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip
    if done.returncode:
        raise RunnerFailed(f"{block} at {side}x{side} ended with exit code {done.returncode}",
                           details=done.stderr.splitlines()[-3:])  # fmt: skip
    record: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return record


def compare(measure: Measure, sides: Sequence[int] = SIDES, rounds: int = ROUNDS) -> dict[tuple[str, int], Cost]:
    """Measures all layers at all sizes, in turns."""
    costs = {(block, side): Cost() for side in sides for block in BLOCKS}
    for _ in range(rounds):
        for block, side in costs:
            record, cost = measure(block, side), costs[block, side]
            cost.tokens = record["tokens"]
            cost.samples_ns += record["samples_ns"]
            cost.peak_bytes.append(record["peak_bytes"])
    return costs


def table(costs: dict[tuple[str, int], Cost]) -> str:
    """Markdown: a row for each image size; growth is per row against the first, beside that of the tokens."""
    sides = sorted({side for _, side in costs})
    head = ["image", "tokens", *(f"{block} ms" for block in BLOCKS), "softmax / ours", "fused / ours"]
    head += [f"{block} MiB" for block in BLOCKS]
    lines = ["| " + " | ".join(head) + " |", "|" + " ---: |" * len(head)]
    for side in sides:
        ours, softmax, fused = (costs[block, side] for block in BLOCKS)
        cells = [f"{side}x{side}", f"{ours.tokens:,}", *(f"{c.ms:.2f}" for c in (ours, softmax, fused))]
        cells += [f"{softmax.ms / ours.ms:.2f}x", f"{fused.ms / ours.ms:.2f}x"]
        cells += [f"{c.mib:.1f}" for c in (ours, softmax, fused)]
        lines.append("| " + " | ".join(cells) + " |")
    first, last = sides[0], sides[-1]
    grown = [f"{block} {costs[block, last].ms / costs[block, first].ms:.1f}x" for block in BLOCKS]
    tokens = costs[BLOCKS[0], last].tokens / costs[BLOCKS[0], first].tokens
    lines += ["", f"From {first} to {last}: tokens {tokens:.1f}x; time of {', '.join(grown)}."]
    return "\n".join(lines)


def main() -> None:
    """Measures and prints."""
    from edgedeploy.benchmarks.devices import describe_host

    device = describe_host()
    print(f"{device.model}, 1 thread, {ROUNDS} rounds in turns; median of one layer's run; ours is cross-feature\n")
    print(table(compare(in_a_process)))


if __name__ == "__main__":
    main()
