"""Where a file parts from the float network: what a failed verification names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgedeploy.core.errors import EdgedeployError
from edgedeploy.core.parity import compare, worst
from edgedeploy.pipeline.export import stages
from edgedeploy.pipeline.verification import in_file_form

from .int8_gap import GAP_DB

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
        again = _Again(prepared, rewritten, target, options, reference)
        where = again.in_quantized_network(lowered) if target.recipe.is_quantized else ""
        return where or again.in_taps()
    except EdgedeployError as error:  # the error that is being explained matters more
        return f"with every tensor as an output: {error.message}"


@dataclass(frozen=True)
class _Again:
    """One target of an export, made once more to look into it."""

    prepared: stages.PreparedNetwork
    rewritten: RewrittenModule
    target: Target
    options: stages.LowerOptions
    reference: Reference

    def in_quantized_network(self, lowered: stages.LoweredFile) -> str:
        """Compares the quantized network that was lowered; "" where the runtime makes far less of it than torch does."""
        from edgedeploy.exporters.to_executorch import quantized_network
        from edgedeploy.pipeline.layers import first_difference_in_graph

        where, outputs = first_difference_in_graph(
            self.reference, quantized_network(stages.job_of(self.prepared, self.rewritten, self.target, self.options))
        )
        golden = replace(
            self.prepared.golden, inputs=self.prepared.golden.inputs[:1], outputs=self.prepared.golden.outputs[:1]
        )
        of_file = worst(stages.verify(replace(self.prepared, golden=golden), self.target, lowered))
        of_network = worst([compare(*pair) for pair in zip(golden.outputs[0], outputs, strict=True)])
        if of_file and of_network and not of_file.labels and of_network.sqnr - of_file.sqnr > GAP_DB:
            return ""
        return f"in the quantized network, operator by operator, {where}"

    def in_taps(self) -> str:
        """Lowers the network again with every tensor as an output."""
        from edgedeploy.benchmarks.executors import RunOptions
        from edgedeploy.benchmarks.executors.python_process import run_in_python
        from edgedeploy.pipeline.layers.taps import first_in_taps, with_every_tensor

        module, positions = with_every_tensor(self.rewritten.module, self.reference)
        names = tuple(f"tensor{position}" for position in positions)
        tapped = replace(self.prepared, network=replace(self.prepared.network, output_names=names))
        folder = self.options.shared.scratch / "every tensor"
        folder.mkdir(exist_ok=True)
        file = stages.lower(
            tapped,
            replace(self.rewritten, module=module),
            self.target,
            replace(self.options, folder=folder, int8_io=False),
        )
        inputs = in_file_form(self.prepared.golden.inputs[:1], file.record.inputs)
        ran = run_in_python(self.target.runtime, file.path, inputs, RunOptions(warmup_runs=0, num_runs=0))
        return first_in_taps(self.reference, positions, ran.outputs[0], quantized=self.target.recipe.is_quantized)
