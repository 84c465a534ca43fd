"""Where a file parts from the float network: what a failed verification names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edgedeploy.core.errors import EdgedeployError
from edgedeploy.pipeline.export import stages
from edgedeploy.pipeline.verification import in_file_form

if TYPE_CHECKING:
    from edgedeploy.exporters.targets import Target
    from edgedeploy.models.rewrites import RewrittenModule
    from edgedeploy.pipeline.layers.reference import Reference


def first_difference(
    prepared: stages.PreparedNetwork,
    rewritten: RewrittenModule,
    target: Target,
    lowered: stages.LoweredFile,
    options: stages.LowerOptions,
) -> str:
    """Where a file and the float network part first, in a line; "" where no operator stands out."""
    from edgedeploy.pipeline.layers import first_difference as search
    from edgedeploy.pipeline.layers.formats import RUNTIMES
    from edgedeploy.pipeline.layers.reference import of_network

    reference = of_network(rewritten.module, prepared.golden.inputs[0])
    if target.runtime in RUNTIMES:
        return search(reference, target.runtime, lowered.path, lowered.record.operators, lowered.record.inputs)
    try:
        return _in_taps(prepared, rewritten, target, options, reference)
    except EdgedeployError as error:  # the error that is being explained matters more
        return f"with every tensor as an output: {error.message}"


def _in_taps(
    prepared: stages.PreparedNetwork,
    rewritten: RewrittenModule,
    target: Target,
    options: stages.LowerOptions,
    reference: Reference,
) -> str:
    """Lowers the network again with every tensor as an output."""
    from edgedeploy.benchmarks.executors import RunOptions
    from edgedeploy.benchmarks.executors.python_process import run_in_python
    from edgedeploy.pipeline.layers.taps import first_in_taps, with_every_tensor

    module, positions = with_every_tensor(rewritten.module, reference)
    names = tuple(f"tensor{position}" for position in positions)
    tapped = replace(prepared, network=replace(prepared.network, output_names=names))
    folder = options.shared.scratch / "every tensor"
    folder.mkdir(exist_ok=True)
    file = stages.lower(
        tapped,
        replace(rewritten, module=module),
        target,
        replace(options, folder=folder, int8_io=False),
    )
    inputs = in_file_form(prepared.golden.inputs[:1], file.record.inputs)
    ran = run_in_python(target.runtime, file.path, inputs, RunOptions(warmup_runs=0, num_runs=0))
    return first_in_taps(reference, positions, ran.outputs[0], quantized=target.recipe.is_quantized)
