"""Makes an artifact in a process of its own, counts its instructions, and times the artifacts of a network in turns."""

from __future__ import annotations

import shutil
import statistics
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edgedeploy.core.artifact import Artifact
from edgedeploy.core.child_processes import child_environment, module_command
from edgedeploy.core.errors import EdgedeployError
from edgedeploy.core.parity import worst
from edgedeploy.core.reporter import NullReporter
from edgedeploy.studies.arm_count import count_on_arm
from edgedeploy.studies.results import PACKAGE
from edgedeploy.studies.zoo_matrix import cells as zoo_matrix

from .cells import Cell, Outcome
from .naive_artifact import one_line, without_folders

MAKE_LIMIT_S = 2400  # the histograms of ExecuTorch's quantizer take minutes on the large networks
ZOO_ARTIFACTS, ZOO_RESULTS = PACKAGE.parent / "build" / "zoo", PACKAGE.parent / "docs" / "zoo.json"
ROUNDS, RUNS = 5, 10  # of the timing: every artifact in each round


def make(cell: Cell, folder: Path, limit_s: float = MAKE_LIMIT_S) -> str:
    """Writes the cell's artifact to `cell.path(folder)`; returns "", or in one line why it could not.

    An own artifact that `make zoo` made of the same code is copied.
    """
    kept = None
    if cell.side == "own" and not cell.without:
        same = zoo_matrix.Cell(cell.model, cell.family, cell.target)
        kept = zoo_matrix.kept_artifact(same, ZOO_ARTIFACTS, zoo_matrix.Results(ZOO_RESULTS))
    if kept is not None:
        shutil.rmtree(cell.path(folder), ignore_errors=True)
        shutil.copytree(kept, cell.path(folder))
        return ""
    command = _command(cell, cell.output(folder))
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no artifact within {limit_s:g} s"
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error:")]
    if errors:
        return without_folders(errors[-1])
    how = f"killed by signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
    return without_folders(f"{how}: {lines[-1] if lines else 'no message'}")[:240]


def _command(cell: Cell, output: Path) -> list[str]:
    if cell.side == "naive":
        return module_command(
            "edgedeploy.studies.versus.naive_artifact", cell.model, cell.target, str(output), cell.form
        )
    command = module_command("edgedeploy", "export", cell.model, "--target", cell.target, "-o", str(output))
    if cell.target.endswith("int8"):
        command.append("--allow-low-parity")  # with random weights a miss means little
    return [*command, "--without-rewrite", cell.without] if cell.without else command


def measure(path: Path, outcome: Outcome) -> Outcome:
    """The outcome with the artifact's size, error and instructions; with the reason where it does not run on Arm."""

    artifact = Artifact.load(path)
    manifest, parity = artifact.manifest, worst(artifact.manifest.parity)
    assert parity is not None, "a network has outputs"
    outcome = replace(
        outcome,
        size_bytes=sum(file.size_bytes for file in manifest.files),
        relative_error=parity.relative_error,
        sqnr_db=parity.sqnr_db,
        macs=manifest.macs,
        rewrites={done.rewrite: done.applied for done in manifest.provenance.rewrites if done.applied},
    )
    try:
        count = count_on_arm(artifact)
    except EdgedeployError as error:
        return replace(outcome, error=f"on Arm: {one_line(error)}")
    return replace(outcome, instructions=count.total, bound=count.bound)


def take_turns(paths: Mapping[Cell, Path]) -> dict[Cell, int]:
    """Median wall time on this machine, one thread, in nanoseconds: every artifact runs in each of several rounds.

    An artifact that does not run here is left out.
    """
    from edgedeploy.benchmarks.executors import RunOptions, open_executor
    from edgedeploy.pipeline.verification import workload_of

    options = RunOptions(threads=1, warmup_runs=2, num_runs=RUNS, min_secs=0.0, max_secs=60.0)
    artifacts = {cell: Artifact.load(path) for cell, path in paths.items()}
    workloads = {cell: workload_of(artifact, artifact.golden()) for cell, artifact in artifacts.items()}
    medians: dict[Cell, list[float]] = {cell: [] for cell in workloads}
    with open_executor("local") as executor:
        for _ in range(ROUNDS):
            for cell in list(workloads):
                try:
                    samples = executor.run(workloads[cell], options, NullReporter()).samples_ns
                except EdgedeployError:
                    del workloads[cell], medians[cell]
                else:
                    medians[cell].append(statistics.median(samples))
    return {cell: round(statistics.median(rounds)) for cell, rounds in medians.items()}
