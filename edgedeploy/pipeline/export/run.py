"""One export: from a prepared network to the artifact of each target, within this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgedeploy.core.artifact import Artifact, files_of_artifact
from edgedeploy.core.errors import ParityFailed, RunnerFailed
from edgedeploy.core.recipes.files import format_recipe
from edgedeploy.core.reporter import Reporter
from edgedeploy.core.storage.files import output_errors, staged_folder
from edgedeploy.pipeline.verification import check_threshold

from . import stages
from .artifact_folder import check_folder
from .blame.conversion_errors import way_out
from .blame.crashing import first_crashing
from .blame.first_difference import first_difference
from .blame.int8_gap import gap_notes
from .blame.refused_file import first_refused
from .calibration_check import check_calibration
from .minimum_runtime import require_loads
from .options import ExportOptions
from .searched_recipe import searched_recipe
from .writing import write

if TYPE_CHECKING:
    from edgedeploy.core.parity import Parity
    from edgedeploy.core.provenance import OperatorFact, RecipeSearch, RewriteOutcome
    from edgedeploy.exporters.job import SharedWork
    from edgedeploy.exporters.targets import Target
    from edgedeploy.models.loading import Network
    from edgedeploy.models.rewrites import Rewriter, RewrittenModule


def prepare(
    network: Network, targets: Sequence[Target], options: ExportOptions, reporter: Reporter
) -> stages.PreparedNetwork:
    """What all targets share: calibration images, which are checked, completed weights, and reference outputs."""
    calibration = stages.calibrate(network, targets, options, reporter)
    return stages.prepare(network, check_calibration(network, calibration, reporter), options, reporter)


class Run:
    """One export: what its targets share, and the artifact of each."""

    def __init__(
        self, prepared: stages.PreparedNetwork, options: ExportOptions, shared: SharedWork, reporter: Reporter
    ) -> None:
        self._prepared, self._options, self._shared, self._reporter = prepared, options, shared, reporter
        self._rewriter: Rewriter | None = None
        self._rewritten: dict[tuple[str, ...], RewrittenModule] = {}

    def with_shared(self, shared: SharedWork) -> Run:
        """The same export with intermediate results of its own, and what was rewritten so far."""
        other = Run(self._prepared, self._options, shared, self._reporter)
        other._rewriter, other._rewritten = self._rewriter, self._rewritten
        return other

    def make(self, target: Target) -> Artifact:
        """Rewrites, lowers, verifies and writes; the artifact's folder appears whole or not at all."""
        plain = self.rewrite(target)
        reporter, options = self._reporter, self._options
        final = Path(options.output) / self._prepared.network.name / target.name
        name = f"{self._prepared.network.name}/{target.name}"
        check_folder(final, self._prepared.network.source, target.file)
        target, rewritten, search = self._with_recipe(target, plain, name)
        with staged_folder(final, files_of_artifact) as stage:
            with reporter.stage(f"lower to {target.name}"), output_errors(final):
                lower_options = stages.LowerOptions(stage, self._shared, options.int8_io, options.layout)
                lowered = replace(stages.lower(self._prepared, rewritten, target, lower_options), search=search)
            for warning in lowered.record.warnings:
                reporter.note(f"{name}: {warning}")
            _report_outside(lowered.record.operators, name, reporter)
            require_loads(options.min_runtime, target.runtime, lowered.path, name)
            with reporter.stage(f"verify {target.name} in {target.runtime}"):
                parities = self._verify(rewritten, target, lowered, lower_options)
            try:
                check_threshold(name, target.threshold, parities)
            except ParityFailed as error:
                with reporter.stage(f"look for the operator where {target.name} parts from the network"):
                    where = first_difference(self._prepared, rewritten, target, lowered, lower_options)
                details = [*error.details, *([where] if where else [])]
                if not options.allow_low_parity:
                    raise ParityFailed(error.message, details=details, hint=error.hint) from None
                reporter.note(f"{name} is kept below its threshold: {'; '.join(details)}")
            with output_errors(final):
                manifest = write(self._prepared, rewritten, target, lowered, parities)
        return Artifact(final, manifest)

    def report_gaps(self, artifacts: Sequence[Artifact], targets: Sequence[Target]) -> None:
        """Names the operator where an int8 artifact loses far more than the best one of the export."""
        for note in gap_notes(artifacts, targets, self._blame):
            self._reporter.note(note)

    def where_it_crashes(self, target: Target, fork: Callable[[Callable[[], None]], int]) -> list[str]:
        """The operator, module and line that a target's process ended at; empty where that cannot be found out."""
        options = stages.LowerOptions(self._shared.scratch, self._shared, layout=self._options.layout)
        with self._reporter.stage(f"look for the operator that {target.name} crashes at"):
            target, rewritten = self._adjust(self.rewrite(target), target)
            return first_crashing(self._prepared, rewritten, target, options, fork)

    def _blame(self, target: Target, artifact: Artifact) -> str:
        from edgedeploy.core.provenance import GraphSummary
        from edgedeploy.exporters.job import Lowered

        manifest = artifact.manifest
        record = Lowered(manifest.inputs, manifest.outputs, artifact.operators(), GraphSummary({}))
        lowered = stages.LoweredFile(artifact.path, record, calibrated=True)
        lower_options = stages.LowerOptions(artifact.folder, self._shared, self._options.int8_io, self._options.layout)
        with self._reporter.stage(f"look for the operator where {target.name} loses most"):
            target, rewritten = self._adjust(self.rewrite(target), target)
            return first_difference(self._prepared, rewritten, target, lowered, lower_options)

    def _verify(
        self,
        rewritten: RewrittenModule,
        target: Target,
        lowered: stages.LoweredFile,
        options: stages.LowerOptions,
    ) -> tuple[Parity, ...]:
        """Verifies; where the runtime refuses the file, its error names the operator that it refuses it for."""
        try:
            return stages.verify(self._prepared, target, lowered)
        except RunnerFailed as error:
            with self._reporter.stage(f"look for the operator that {target.runtime} refuses"):
                where = first_refused(self._prepared, rewritten, target, options)
            if not where:
                raise
            hint = way_out(quantized=target.recipe.is_quantized)
            raise RunnerFailed(error.message, details=[*where, *error.details], hint=hint) from error

    def _with_recipe(
        self, target: Target, rewritten: RewrittenModule, name: str
    ) -> tuple[Target, RewrittenModule, RecipeSearch | None]:
        """The target with the recipe that was searched for, if one was, and the network as the recipe prepares it."""
        if not self._options.is_searched:
            return *self._adjust(rewritten, target), None
        from edgedeploy.pipeline.recipe_search import Trials

        trials = Trials(self._prepared, rewritten, target, self._shared)
        return searched_recipe(trials, name, self._options, self._reporter)

    def _adjust(self, rewritten: RewrittenModule, target: Target) -> tuple[Target, RewrittenModule]:
        """The network as the target's recipe prepares it, and the target with the layers that stay in float."""
        recipe = target.recipe

        def make() -> stages.AdjustedNetwork:
            steps = " and ".join(step.value.replace("_", " ") for step in recipe.prepare) or "measure the layers"
            with self._reporter.stage(f"{steps} for {target.name}"):
                made = stages.adjust(self._prepared, rewritten, recipe)
            for layer in made.in_float:
                self._reporter.note(f"{target.name}: {layer} stays in float32")
            return made

        if not recipe.reads_samples:
            return target, rewritten
        made = self._shared.once(f"prepared by {format_recipe(recipe)}", rewritten.module, make)
        return replace(target, recipe=made.recipe), made.rewritten

    def rewrite(self, target: Target) -> RewrittenModule:
        """Targets share the steps that their rewrites have in common, and the network where none of the others apply."""
        from edgedeploy.exporters.process.quiet import quiet

        names = self._options.rewrites_of(target)
        if names not in self._rewritten:
            with self._reporter.stage(f"rewrite for {target.name}"), quiet(self._shared.log):
                self._rewriter = self._rewriter or stages.rewriter_of(self._prepared)
                self._rewritten[names] = stages.rewrite(self._prepared, names, self._rewriter)
            _report_rewrites(self._rewritten[names].outcomes, self._reporter)
        return self._rewritten[names]


def _report_outside(operators: Sequence[OperatorFact], name: str, reporter: Reporter) -> None:
    """Names the layers and matrix products that the runtime's delegate does not take: its own kernels are far slower."""
    outside = [op for op in operators if op.delegated is False and op.macs]
    if outside:
        places = "; ".join(
            dict.fromkeys(f"{op.type} at {op.module or 'the top level'} ({op.outside_because})" for op in outside[:3])
        )
        more = f" and {len(outside) - 3} more" if len(outside) > 3 else ""
        reporter.note(f"{name} has layers outside the delegate, which cost many times as much: {places}{more}")


def _report_rewrites(outcomes: Sequence[RewriteOutcome], reporter: Reporter) -> None:
    """What each rewrite did and why, and where it declined."""
    from edgedeploy.models.rewrites import ALL

    for outcome in outcomes:
        if outcome.applied:
            times = "once" if outcome.applied == 1 else f"{outcome.applied} times"
            reporter.detail(f"{outcome.rewrite}: applied {times}, largest error {outcome.relative_error:.1g} σ")
            reporter.detail(f"  {ALL[outcome.rewrite].reason}")
        for declined in outcome.declined:
            module = declined.module or "the top level"
            reporter.detail(f"{outcome.rewrite} declines {declined.operator} at {module}: {declined.reason}")
