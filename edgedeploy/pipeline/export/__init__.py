"""export: network -> rewritten -> lowered -> verified -> artifact, for each target.

options.py             what an export can be asked for
artifact_folder.py     whose folder an artifact would be written to
stages.py              load, calibrate, prepare, rewrite, lower, verify, write: functions that can be called one by one
conversion_errors.py   what torch.export and the converters raise, in the user's words
minimum_runtime.py     `--min-runtime`: older runtimes that a file must still load in

Each package is imported inside the function that needs it: `bench` needs no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from edgedeploy.core.artifact import Artifact, files_of_artifact
from edgedeploy.core.errors import EdgedeployError, ExportFailed, ParityFailed
from edgedeploy.core.reporter import NullReporter, Reporter
from edgedeploy.core.storage.files import check_writable, output_errors, private_folder, staged_folder
from edgedeploy.pipeline.verification import check_threshold

from . import stages
from .artifact_folder import check_folder
from .minimum_runtime import require_loads
from .options import DEFAULT_MIN_SQNR_DB, ExportKeywords, ExportOptions, parse_drop, parse_input_size, parse_targets

if TYPE_CHECKING:
    from edgedeploy.core.provenance import OperatorFact, RecipeSearch, RecipeStep, RewriteOutcome
    from edgedeploy.exporters.job import SharedWork
    from edgedeploy.exporters.targets import Target
    from edgedeploy.models.rewrites import RewrittenModule

__all__ = ["ExportKeywords", "ExportOptions", "export", "parse_input_size", "parse_targets", "stages"]


def export(
    model: str,
    targets: str | Sequence[str],
    *,
    reporter: Reporter | None = None,
    **options: Unpack[ExportKeywords],
) -> list[Artifact]:
    """Rewrites, lowers and verifies a network for each target; the artifacts lie in `output`/<model>/<target>/.

    Args:
        model: a zoo name, `file.py:factory`, `package.module:factory`, `timm:NAME`, `torchvision:NAME`, or a `.pt2` file.
        targets: names from `edgedeploy targets`.
        reporter: receives the progress.
        options: the fields of ExportOptions.

    Raises an EdgedeployError. A target that fails does not stop the others; its error is raised at the end, and has the
    artifacts of the others as `completed`.
    """
    chosen = ExportOptions(**options)
    wanted = chosen.targets(targets)
    chosen.check_rewrites()
    check_writable(Path(chosen.output))
    from edgedeploy.exporters.job import SharedWork
    from edgedeploy.exporters.process.quiet import process_state_kept

    reporter = reporter or NullReporter()
    with process_state_kept(), private_folder() as scratch:
        network = stages.load(model, chosen, reporter)
        calibration = stages.calibrate(network, wanted, chosen, reporter)
        prepared = stages.prepare(network, calibration, chosen, reporter)
        run = _Run(prepared, chosen, SharedWork(scratch, scratch / "converters.log"), reporter)
        artifacts: list[Artifact] = []
        failures: dict[str, EdgedeployError] = {}
        for target in wanted:
            try:
                artifacts.append(run.make(target))
            except EdgedeployError as error:
                if len(wanted) == 1:
                    raise
                reporter.note(f"{target.name} failed: {error.message}")
                failures[target.name] = error
    if failures:
        raise _combined(failures, len(wanted)).with_completed(artifacts)
    return artifacts


class _Run:
    """One export: what its targets share, and the artifact of each."""

    def __init__(
        self, prepared: stages.PreparedNetwork, options: ExportOptions, shared: SharedWork, reporter: Reporter
    ) -> None:
        self._prepared, self._options, self._shared, self._reporter = prepared, options, shared, reporter
        self._rewritten: dict[tuple[str, ...], RewrittenModule] = {}

    def make(self, target: Target) -> Artifact:
        """Rewrites, lowers, verifies and writes; the artifact's folder appears whole or not at all."""
        plain = self._rewrite(target)
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
                parities = stages.verify(self._prepared, target, lowered)
            try:
                check_threshold(name, target.threshold, parities)
            except ParityFailed as error:
                with reporter.stage(f"look for the operator where {target.name} parts from the network"):
                    where = stages.first_difference(self._prepared, rewritten, target, lowered)
                details = [*error.details, *([where] if where else [])]
                if not options.allow_low_parity:
                    raise ParityFailed(error.message, details=details, hint=error.hint) from None
                reporter.note(f"{name} is kept below its threshold: {'; '.join(details)}")
            with output_errors(final):
                manifest = stages.write(self._prepared, rewritten, target, lowered, parities)
        return Artifact(final, manifest)

    def _with_recipe(
        self, target: Target, rewritten: RewrittenModule, name: str
    ) -> tuple[Target, RewrittenModule, RecipeSearch | None]:
        """The target with the recipe that was searched for, if one was, and the network as the recipe prepares it."""
        if not self._options.is_searched:
            return target, stages.adjust(self._prepared, rewritten, target.recipe), None
        from edgedeploy.pipeline.recipe_search import SearchOptions, Trials, read_labelled, search_recipe

        options = self._options
        labelled, goal = (
            None,
            SearchOptions(DEFAULT_MIN_SQNR_DB if options.min_sqnr_db is None else options.min_sqnr_db),
        )
        if options.data is not None and options.max_drop is not None:
            with self._reporter.stage(f"read labelled images from {options.data}"):
                labelled = read_labelled(Path(options.data), self._prepared)
            count, drop = len(labelled.labels), parse_drop(options.max_drop)
            self._reporter.note(f"the float network has {labelled.float_accuracy:.2%} of {count} labelled images right")
            goal = replace(goal, least_accuracy=labelled.float_accuracy - drop)
        trials = Trials(self._prepared, rewritten, target, self._shared, labelled)
        found = search_recipe(trials, goal, self._reporter)
        if not found.record.met:
            message = f"no recipe was found for {name} that reaches {found.record.goal}"
            plain, *_, last = (_reached(step) for step in (found.record.path[0], *found.record.path))
            closest = f"the closest one reaches {last}, the plain one {plain}"
            if not self._options.allow_low_parity:
                raise ParityFailed(
                    message,
                    details=[closest, f"{found.record.exports} artifacts were tried"],
                    hint="an easier goal, --allow-low-parity to keep the closest, or more --calib images",
                )
            self._reporter.note(f"{message}; {closest}")
        return replace(target, recipe=found.recipe), trials.adjusted(found.recipe), found.record

    def _rewrite(self, target: Target) -> RewrittenModule:
        """Targets that want the same rewrites share the result."""
        from edgedeploy.exporters.process.quiet import quiet

        names = self._options.rewrites_of(target)
        if names not in self._rewritten:
            with self._reporter.stage(f"rewrite for {target.name}"), quiet(self._shared.log):
                self._rewritten[names] = stages.rewrite(self._prepared, names)
            _report_rewrites(self._rewritten[names].outcomes, self._reporter)
        return self._rewritten[names]


def _reached(step: RecipeStep) -> str:
    sqnr = "equal outputs" if step.sqnr_db is None else f"{step.sqnr_db:.1f} dB"
    return sqnr if step.accuracy is None else f"{step.accuracy:.2%} ({sqnr})"


def _report_outside(operators: Sequence[OperatorFact], name: str, reporter: Reporter) -> None:
    """Names the layers and matrix products that the runtime's delegate does not take: its own kernels are far slower."""
    outside = [op for op in operators if op.delegated is False and op.macs]
    if outside:
        places = ", ".join(dict.fromkeys(f"{op.type} at {op.module or 'the top level'}" for op in outside[:3]))
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


def _combined(failures: dict[str, EdgedeployError], count: int) -> EdgedeployError:
    """One error for several; the most serious decides its kind."""
    worst = max(failures.values(), key=lambda error: error.exit_code)
    details = [f"{name}: {line}" for name, error in failures.items() for line in str(error).splitlines()]
    kind = type(worst) if type(worst) in (ParityFailed, ExportFailed) else ExportFailed
    return kind(f"{len(failures)} of {count} targets failed", details=details)
