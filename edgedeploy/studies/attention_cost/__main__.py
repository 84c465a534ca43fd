"""Does the cost of XFormer's attention grow linearly with the number of tokens?

    python -m edgedeploy.studies.attention_cost

Time and memory of cross feature attention from 256x256 to 1024x1024, beside softmax attention of the same width. Each
measurement is a process of its own (worker.py), because peak memory is a property of a process; the three layers
take turns, round by round, so that a machine that slows down slows all of them. A ratio is between the medians.
"""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from edgedeploy.core.child_processes import child_environment, module_command
from edgedeploy.core.errors import RunnerFailed
from edgedeploy.core.storage.json_records import decode

from . import AttentionRun

BLOCKS = ("cross-feature", "softmax", "fused")
SIDES = (256, 512, 768, 1024)
ROUNDS = 3

Measure = Callable[[str, int], AttentionRun]


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


def in_a_process(block: str, side: int) -> AttentionRun:
    """One measurement. Raises RunnerFailed."""
    done = subprocess.run(
        module_command("edgedeploy.studies.attention_cost.worker", block, str(side)),
        capture_output=True,
        text=True,
        check=False,
        env=child_environment(),
    )
    if done.returncode:
        raise RunnerFailed(f"{block} at {side}x{side} ended with exit code {done.returncode}",
                           details=done.stderr.splitlines()[-3:])  # fmt: skip
    return decode(done.stdout.splitlines()[-1], AttentionRun)


def compare(measure: Measure, sides: Sequence[int] = SIDES, rounds: int = ROUNDS) -> dict[tuple[str, int], Cost]:
    """Measures all layers at all sizes, in turns."""
    costs = {(block, side): Cost() for side in sides for block in BLOCKS}
    for _ in range(rounds):
        for block, side in costs:
            run, cost = measure(block, side), costs[block, side]
            cost.tokens = run.tokens
            cost.samples_ns += run.samples_ns
            cost.peak_bytes.append(run.peak_bytes)
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
