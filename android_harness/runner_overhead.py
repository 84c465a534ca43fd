"""What the runner itself costs per inference: `python -m edgedeploy.android_harness.runner_overhead`.

The null runtime does nothing in its run, so what is measured there is the runner's own cost.
"""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass

import numpy as np

from edgedeploy.core.errors import EdgedeployError

from .bundles import Bundle, build_bundle
from .host_runner import HostRunOptions, run_on_host
from .protocol import RunRequest
from .toolchain import HOST_ABI


@dataclass(frozen=True)
class Overhead:
    """The runner's own cost on one device.

    Attributes:
        timed_ns: median measured time of an empty inference; every sample contains it.
        loop_ns: mean distance of two starts. Its difference to `timed_ns` is what the loop adds between two inferences,
            with the reading of the CPU's number and frequency.
        runs: how many empty inferences were measured.
    """

    timed_ns: float
    loop_ns: float
    runs: int


def measure_overhead(bundle: Bundle, runs: int = 100_000) -> Overhead:
    """Runs nothing, `runs` times (2 or more), with a bundle of the null runtime. Raises RunnerFailed."""
    request = RunRequest(warmup_runs=1000, num_runs=runs)
    options = HostRunOptions(want_outputs=False)
    samples = run_on_host(bundle, None, [[np.zeros(1, np.float32)]], request, options).answer.runs
    loop_ns = (samples.start_ns[-1] - samples.start_ns[0]) / (len(samples) - 1)
    return Overhead(statistics.median(samples.ns), loop_ns, len(samples))


def main() -> int:
    """Measures on this machine and prints one line."""
    try:
        overhead = measure_overhead(build_bundle("null", HOST_ABI))
    except EdgedeployError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(
        f"the runner's own cost per inference, {overhead.runs} empty inferences: "
        f"{overhead.timed_ns:.0f} ns within the measured time, {overhead.loop_ns:.0f} ns with the loop around it"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
