"""An emulated Arm CPU as a place: it counts instructions. Its time means nothing, so none is kept."""

from __future__ import annotations

from dataclasses import replace

from edgedeploy.android_harness.bundles import Bundle, build_bundle
from edgedeploy.android_harness.qemu import CPUS, DEFAULT_CPU, count_instructions
from edgedeploy.core.errors import UnknownName
from edgedeploy.core.measurement import DeviceInfo, InstructionCount, Profile

from .base import Reporter, RunOutput, Steps, Task
from .python_process import RunOptions

# Multiply-accumulates that one instruction can do at best: FMLA on four floats, SDOT on sixteen int8.
MACS_PER_INSTRUCTION = {"float": 4, "int8": 16}


class QemuExecutor:
    """A CPU of QEMU's, by name; one thread."""

    is_host = False
    restored: Steps = ()

    def __init__(self, cpu: str = "") -> None:
        self.cpu = cpu or DEFAULT_CPU
        if self.cpu not in CPUS:
            raise UnknownName("emulated CPU", self.cpu, CPUS, hint=f"one of {', '.join(CPUS)}")
        model = f"emulated {self.cpu}"
        self.info = DeviceInfo(kind="qemu", name=f"qemu:{self.cpu}", model=model, abi="arm64-v8a", emulated=True)
        self._bundles: dict[str, Bundle] = {}

    def prepare(self, task: Task, reporter: Reporter) -> None:
        """Builds the runner, at the first time."""
        if task.runner not in self._bundles:
            with reporter.stage(f"get the {task.runner} runner for arm64"):
                self._bundles[task.runner] = build_bundle(task.runner, "arm64")

    def run(self, task: Task, plan: RunOptions, reporter: Reporter) -> RunOutput:
        """Counts one inference of the first set of inputs on one thread; the plan's times do not apply."""
        self.prepare(task, reporter)
        bundle = self._bundles[task.runner]
        counted = count_instructions(bundle, task.path, task.inputs[0], self.cpu)
        return RunOutput(
            outputs=[counted.outputs],
            samples_ns=[],
            load_ns=None,
            first_inference_ns=None,
            peak_rss_bytes=None,
            runner=task.runner,
            runtime_version=bundle.version,
            instructions=with_bound(counted.instructions, task),
        )

    def profile(self, task: Task, plan: RunOptions, reporter: Reporter) -> Profile:
        """There is none: the runtimes' profiles are of time, and emulated time means nothing."""
        return Profile(not_available="runtimes profile time, and an emulated CPU's time means nothing")


def with_bound(count: InstructionCount, task: Task) -> InstructionCount:
    """The count beside the fewest instructions that the arithmetic alone could take; None where MACs are not known."""
    per_instruction = MACS_PER_INSTRUCTION["int8" if task.int8 else "float"]
    bound = None if not task.macs else task.macs / per_instruction
    ratio = count.total / bound if bound else None
    return replace(count, macs=task.macs, macs_per_instruction=per_instruction, bound=bound, ratio=ratio)
