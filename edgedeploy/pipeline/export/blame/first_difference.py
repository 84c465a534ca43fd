"""Where a file parts from the float network: what a failed verification names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgedeploy.core.errors import EdgedeployError
from edgedeploy.core.parity import Parity, compare, worst
from edgedeploy.pipeline.export import stages
from edgedeploy.pipeline.verification import in_file_form, parity_of

from .int8_gap import GAP_DB

if TYPE_CHECKING:
    from edgedeploy.core.artifact import Golden
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

    prepared, of_file = _with_worst_sample(prepared, target, lowered)
    reference = of_network(rewritten.module, prepared.golden.inputs[0])
    if target.runtime in RUNTIMES:
        return search(reference, target.runtime, lowered.path, lowered.record.operators, lowered.record.inputs)
    try:
        again = _Again(prepared, rewritten, target, options, reference)
        where = again.in_quantized_network(of_file) if target.recipe.is_quantized else ""
        return where or again.in_taps()
    except EdgedeployError as error:  # the error that is being explained matters more
        return f"with every tensor as an output: {error.message}"


def _with_worst_sample(
    prepared: stages.PreparedNetwork, target: Target, lowered: stages.LoweredFile
) -> tuple[stages.PreparedNetwork, Parity]:
    """The network with that held-out sample alone which the file is farthest off for, and how far."""
    golden = prepared.golden
    found: list[tuple[float, Golden, Parity]] = []
    for sample, outputs in enumerate(stages.run(prepared, target, lowered)):
        alone = replace(golden, inputs=golden.inputs[sample : sample + 1], outputs=golden.outputs[sample : sample + 1])
        parity = worst(parity_of(alone, [outputs], lowered.record.outputs))
        assert parity is not None  # a network has outputs
        found.append((parity.label_agreement or 0.0 if parity.labels else parity.sqnr, alone, parity))
    _, alone, parity = min(found, key=lambda item: item[0])
    return replace(prepared, golden=alone), parity


@dataclass(frozen=True)
class _Again:
    """One target of an export, made once more to look into it. `prepared` has one held-out sample."""

    prepared: stages.PreparedNetwork
    rewritten: RewrittenModule
    target: Target
    options: stages.LowerOptions
    reference: Reference

    def in_quantized_network(self, of_file: Parity) -> str:
        """Compares the quantized network that was lowered; "" where the runtime makes far less of it than torch does."""
        from edgedeploy.exporters.to_executorch import quantized_network
        from edgedeploy.pipeline.layers import first_difference_in_graph

        where, outputs = first_difference_in_graph(
            self.reference, quantized_network(stages.job_of(self.prepared, self.rewritten, self.target, self.options))
        )
        expected = self.prepared.golden.outputs[0]
        of_network = worst([compare(*pair) for pair in zip(expected, outputs, strict=True)])
        if of_network and not of_file.labels and of_network.sqnr - of_file.sqnr > GAP_DB:
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
        inputs = in_file_form(self.prepared.golden.inputs, file.record.inputs)
        ran = run_in_python(self.target.runtime, file.path, inputs, RunOptions(warmup_runs=0, num_runs=0))
        return first_in_taps(self.reference, positions, ran.outputs[0], quantized=self.target.recipe.is_quantized)
