"""export: network -> rewritten -> lowered -> verified -> artifact, for each target.

options.py             what an export can be asked for
run.py                 from a prepared network to the artifact of each target
artifact_folder.py     whose folder an artifact would be written to
searched_recipe.py     `--recipe auto`: the recipe that meets a goal
side_by_side/          several targets at a time, each in a process of its own
stages.py              load, calibrate, prepare, rewrite, lower, verify: functions that can be called one by one
first_difference.py    which operator makes a verification fail
writing.py             the files beside the artifact's
calibration_check.py   what is wrong with the calibration images
activation_checks.py   what the network's activations say about them
conversion_errors.py   what torch.export and the converters raise, in the user's words
minimum_runtime.py     `--min-runtime`: older runtimes that a file must still load in

Each package is imported inside the function that needs it: `bench` needs no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from edgedeploy.core.artifact import Artifact
from edgedeploy.core.errors import EdgedeployError, ExportFailed, ParityFailed, UsageError
from edgedeploy.core.reporter import NullReporter, Reporter
from edgedeploy.core.storage.files import check_writable, private_folder
from edgedeploy.pipeline.bounds import MAX_JOBS, check_bounds

from . import stages
from .options import ExportKeywords, ExportOptions, parse_input_size, parse_targets
from .run import Run, prepare
from .side_by_side import can_fork, export_side_by_side, jobs_for

if TYPE_CHECKING:
    from edgedeploy.exporters.targets import Target

__all__ = ["ExportKeywords", "ExportOptions", "export", "parse_input_size", "parse_targets", "stages"]


def export(
    model: str,
    targets: str | Sequence[str],
    *,
    jobs: int | None = 1,
    reporter: Reporter | None = None,
    **options: Unpack[ExportKeywords],
) -> list[Artifact]:
    """Rewrites, lowers and verifies a network for each target; the artifacts lie in `output`/<model>/<target>/.

    Args:
        model: a zoo name, `file.py:factory`, `package.module:factory`, `timm:NAME`, `torchvision:NAME`, or a `.pt2` file.
        targets: names from `edgedeploy targets`.
        jobs: how many targets are made at a time, each in a process of its own; None lets cores and memory decide, 1 makes
            one after another in this process.
        reporter: receives the progress.
        options: the fields of ExportOptions.

    Raises an EdgedeployError. A target that fails does not stop the others; its error is raised at the end, and has the
    artifacts of the others as `completed`.
    """
    if not isinstance(model, str):
        raise UsageError(
            f"a model is named, and this is a {type(model).__name__}",
            hint="FILE.py:FACTORY, a function that returns the module and example inputs; or the .pt2 of torch.export.save",
        )
    chosen = ExportOptions(**options)
    wanted = chosen.targets(targets)
    if jobs is not None:
        check_bounds("--jobs", jobs, 1, MAX_JOBS)
    chosen.check_rewrites()
    check_writable(Path(chosen.output))
    reporter = reporter or NullReporter()
    if len(wanted) > 1 and jobs != 1 and _side_by_side(len(wanted), jobs, reporter):
        artifacts, failures = export_side_by_side(model, wanted, chosen, jobs or 0, reporter)
    else:
        artifacts, failures = _one_after_another(model, wanted, chosen, reporter)
    if failures and len(wanted) == 1:
        raise next(iter(failures.values()))
    if failures:
        raise _combined(failures, len(wanted)).with_completed(artifacts)
    return artifacts


def _side_by_side(targets: int, jobs: int | None, reporter: Reporter) -> bool:
    """Whether this system can make, and this machine has room for, several targets at a time."""
    if can_fork():
        return jobs is not None or jobs_for(targets, 0) > 1
    if jobs is not None:
        reporter.note("targets are made one after another: side by side they are made on Linux only")
    return False


def _one_after_another(
    model: str, targets: Sequence[Target], options: ExportOptions, reporter: Reporter
) -> tuple[list[Artifact], dict[str, EdgedeployError]]:
    """The artifacts, and the errors of the targets that failed."""
    from edgedeploy.exporters.job import SharedWork
    from edgedeploy.exporters.process.quiet import process_state_kept

    artifacts: list[Artifact] = []
    failures: dict[str, EdgedeployError] = {}
    with process_state_kept(), private_folder() as scratch:
        prepared = prepare(stages.load(model, options, reporter), targets, options, reporter)
        run = Run(prepared, options, SharedWork(scratch, scratch / "converters.log"), reporter)
        for target in targets:
            try:
                artifacts.append(run.make(target))
            except EdgedeployError as error:
                failures[target.name] = error
                if len(targets) > 1:
                    reporter.note(f"{target.name} failed: {error.message}")
        run.report_gaps(artifacts, targets)
    return artifacts, failures


def _combined(failures: dict[str, EdgedeployError], count: int) -> EdgedeployError:
    """One error for several; the most serious decides its kind."""
    worst = max(failures.values(), key=lambda error: error.exit_code)
    details = [f"{name}: {line}" for name, error in failures.items() for line in str(error).splitlines()]
    kind = type(worst) if type(worst) in (ParityFailed, ExportFailed) else ExportFailed
    return kind(f"{len(failures)} of {count} targets failed", details=details)
