"""What one inference of an artifact takes on an emulated Arm CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgedeploy.core.reporter import NullReporter

if TYPE_CHECKING:
    from edgedeploy.core.artifact import Artifact
    from edgedeploy.core.measurement import InstructionCount


def count_on_arm(artifact: Artifact) -> InstructionCount:
    """Executed A64 instructions, with the bound of the arithmetic. Raises EdgedeployError where it does not run there."""
    from edgedeploy.benchmarks.executors import RunOptions, open_executor
    from edgedeploy.pipeline.verification import workload_of

    with open_executor("qemu") as executor:
        counted = executor.run(workload_of(artifact, artifact.golden()), RunOptions(), NullReporter()).instructions
    assert counted is not None, "an emulated CPU counts"
    return counted
