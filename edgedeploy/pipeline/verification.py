"""Verification: an artifact's outputs against the float network's. Shared by `export`, `verify` and `bench`; no torch."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgedeploy.core.artifact import Artifact, Golden, from_file, to_file
from edgedeploy.core.errors import EdgedeployError, ModelInvalid, ParityFailed, RunnerFailed
from edgedeploy.core.parity import Array, Parity, Threshold, compare
from edgedeploy.core.reporter import Reporter
from edgedeploy.core.spec import TensorSpec

if TYPE_CHECKING:
    from edgedeploy.benchmarks.executors import Executor, Workload

# Two runs of one network on the same inputs: more than threads that add in another order could change.
MAX_REPEAT_ERROR = 1e-3  # over the output's standard deviation
MAX_CHANGED_LABELS = 0.01  # share of an integer output


def parity_of(golden: Golden, outputs: Sequence[Sequence[Array]], specs: Sequence[TensorSpec]) -> tuple[Parity, ...]:
    """One Parity for each output, over all samples together.

    Args:
        golden: inputs and reference outputs.
        outputs: for each sample the artifact's outputs, as its runtime gives them.
        specs: of the artifact's outputs; they are brought into the reference's form first.
    """
    if (
        not specs
        or len(outputs) != len(golden.outputs)
        or any(len(o) != len(specs) for o in (*outputs, *golden.outputs))
    ):
        raise RunnerFailed(
            "the artifact's outputs are not those of the float network",
            details=[f"{len(specs)} are described, {len(outputs[0]) if outputs else 0} came"],
            hint="export the model again",
        )
    found = []
    for index, spec in enumerate(specs):
        references = [sample[index] for sample in golden.outputs]
        actuals = [from_file(sample[index], spec) for sample in outputs]
        for expected, got in zip(references, actuals, strict=True):
            if expected.shape != got.shape or expected.size == 0:
                raise RunnerFailed(
                    f"output {index} has the shape {got.shape}, the float network's has {expected.shape}",
                    hint="export the model again",
                )
        reference, actual = np.concatenate(references), np.concatenate(actuals)
        found.append(compare(reference, actual, class_axis=1 if reference.ndim in (2, 4) else None))
    return tuple(found)


def check_reference(model: str, golden: Golden) -> None:
    """Raises ModelInvalid where the float network's own outputs are nothing that an artifact could be compared with."""
    for sample in golden.outputs:
        for index, output in enumerate(sample):
            if output.size == 0:
                raise ModelInvalid(f"output {index} of {model} is empty: {output.shape}", hint="leave it out")
            if np.issubdtype(output.dtype, np.floating) and not np.isfinite(output).all():
                raise ModelInvalid(
                    f"output {index} of {model} has values that are not finite",
                    details=["NaN and infinity are equal to nothing, so no artifact could be verified"],
                    hint="look for a division by zero, a logarithm or a mask with infinity; or for damaged weights",
                )


def constant_outputs(golden: Golden) -> list[int]:
    """Which outputs do not depend on the input, as far as the stored samples show."""
    samples = golden.outputs
    return [
        index
        for index, first in enumerate(samples[0])
        if len(samples) > 1 and all(np.array_equal(first, sample[index]) for sample in samples[1:])
    ]


def check_repeated(model: str, first: Sequence[Array], again: Sequence[Array]) -> None:
    """Raises ModelInvalid where a network gave other outputs when it ran on the same inputs again."""
    for index, (one, other) in enumerate(zip(first, again, strict=True)):
        if one.shape == other.shape and not one.size:
            continue
        if one.shape != other.shape or not _repeats(one, other):
            raise ModelInvalid(
                f"output {index} of {model} changes from one run to the next with the same inputs",
                details=["no artifact could be verified against it"],
                hint="look for random numbers (torch.rand, dropout that ignores eval()) or a state that forward changes",
            )


def _repeats(one: Array, other: Array) -> bool:
    """Whether two runs agree, but for the order of sums in threads."""
    if not np.issubdtype(one.dtype, np.floating):
        return bool(np.mean(one != other) <= MAX_CHANGED_LABELS)
    largest, spread = float(np.abs(one - other).max()), float(one.std())
    return largest <= MAX_REPEAT_ERROR * spread or largest == 0.0


def check_threshold(name: str, threshold: Threshold, parities: Sequence[Parity]) -> None:
    """Raises ParityFailed where an output misses the threshold."""
    misses = threshold.misses(parities)
    if misses:
        raise ParityFailed(
            f"{name} does not compute what the network computes",
            details=misses,
            hint=_way_out(threshold),
        )


def _way_out(threshold: Threshold) -> str:
    if threshold.sqnr_db is None:  # float: nothing that a recipe or images could mend
        return "--without-rewrite NAME, another target, or --allow-low-parity to keep it; and please report it"
    return "--recipe auto, better images (--calib DIR), another target, or --allow-low-parity to keep it"


def stored_inputs(artifact: Artifact, golden: Golden | None) -> list[list[Array]]:
    """The stored inputs as the file takes them; one seeded random sample where none are stored."""
    specs = artifact.manifest.inputs
    if golden is None:
        rng = np.random.default_rng(0)
        samples = [[rng.standard_normal(spec.shape).astype(np.float32) for spec in specs]]
    else:
        samples = golden.inputs
    return in_file_form(samples, specs)


def in_file_form(samples: Sequence[Sequence[Array]], specs: Sequence[TensorSpec]) -> list[list[Array]]:
    """Samples of inputs as an artifact with these input specs takes them."""
    return [[to_file(array, spec) for array, spec in zip(sample, specs, strict=True)] for sample in samples]


def workload_of(artifact: Artifact, golden: Golden | None) -> Workload:
    """What an executor runs for an artifact."""
    from edgedeploy.benchmarks.executors import Workload

    manifest = artifact.manifest
    return Workload(
        name=str(artifact),
        runtime=manifest.runtime,
        path=artifact.path,
        sha256=manifest.sha256,
        inputs=stored_inputs(artifact, golden),
        macs=manifest.macs,
        int8=manifest.provenance.recipe.is_quantized,
    )


class HostReference:
    """What artifacts give on this machine, to compare a device with. Each artifact is run once."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._stack = contextlib.ExitStack()
        self._executor: Executor | None = None
        self._outputs: dict[str, list[list[Array]] | None] = {}

    def __enter__(self) -> HostReference:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def agreement(
        self, workload: Workload, specs: Sequence[TensorSpec], outputs: Sequence[Sequence[Array]]
    ) -> tuple[Parity, ...] | None:
        """One Parity for each output, this machine's outputs being the reference.

        None where the artifact does not run on this machine, which is reported.
        """
        if workload.sha256 not in self._outputs:
            self._outputs[workload.sha256] = self._run(workload)
        here = self._outputs[workload.sha256]
        if here is None:
            return None
        real = [[from_file(array, spec) for array, spec in zip(sample, specs, strict=True)] for sample in here]
        return parity_of(Golden([list(sample) for sample in workload.inputs], real), outputs, specs)

    def _run(self, workload: Workload) -> list[list[Array]] | None:
        from edgedeploy.benchmarks.executors import RunOptions, open_executor

        once = RunOptions(warmup_runs=0, num_runs=0, min_secs=0)
        try:
            if self._executor is None:
                self._executor = self._stack.enter_context(open_executor("local"))
            self._executor.prepare(workload, self._reporter)
            with self._reporter.stage(f"run {workload.name} on this machine, to compare with"):
                return self._executor.run(workload, once, self._reporter).outputs
        except EdgedeployError as error:
            self._reporter.note(
                f"{workload.name} does not run on this machine, so there is nothing to compare with: {error.message}"
            )
            return None
