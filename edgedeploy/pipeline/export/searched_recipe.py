"""`--recipe auto`: the recipe that is searched for a target, and the network as it prepares it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgedeploy.core.errors import ParityFailed
from edgedeploy.core.reporter import Reporter

from .options import DEFAULT_MIN_SQNR_DB, ExportOptions, parse_drop

if TYPE_CHECKING:
    from edgedeploy.core.provenance import RecipeSearch, RecipeStep
    from edgedeploy.exporters.targets import Target
    from edgedeploy.models.rewrites import RewrittenModule
    from edgedeploy.pipeline.recipe_search import Trials


FEWEST_LOST = 5  # images that the allowed drop should be: chance decides about fewer


def searched_recipe(
    trials: Trials, name: str, options: ExportOptions, reporter: Reporter
) -> tuple[Target, RewrittenModule, RecipeSearch]:
    """The target with the recipe that was found, the network as that prepares it, and the record of the search.

    Args:
        trials: without labelled images; they are read here where the goal needs them.
        name: of the artifact, for messages.

    Raises ParityFailed where no recipe reaches the goal, unless the options allow that.
    """
    from edgedeploy.pipeline.recipe_search import SearchOptions, read_labelled, search_recipe

    goal = SearchOptions(DEFAULT_MIN_SQNR_DB if options.min_sqnr_db is None else options.min_sqnr_db)
    if options.data is not None and options.max_drop is not None:
        with reporter.stage(f"read labelled images from {options.data}"):
            labelled = trials.labelled = read_labelled(Path(options.data), trials.prepared, reporter)
        count, drop = len(labelled.labels), parse_drop(options.max_drop)
        reporter.note(f"the float network has {labelled.float_right.mean():.2%} of {count} labelled images right")
        if 0 < count * drop < FEWEST_LOST:
            reporter.note(
                f"{options.max_drop} of {count} images is {count * drop:.1f} images, which chance decides about; "
                f"--data with {math.ceil(FEWEST_LOST / drop)} or more would tell more"
            )
        goal = replace(goal, max_drop=drop)
    found = search_recipe(trials, goal, reporter)
    if not found.record.met:
        message = f"no recipe was found for {name} that reaches {found.record.goal}"
        plain, *_, last = (_reached(step) for step in (found.record.path[0], *found.record.path))
        closest = f"the closest one reaches {last}, the plain one {plain}"
        if not options.allow_low_parity:
            raise ParityFailed(
                message,
                details=[closest, f"{found.record.exports} artifacts were tried"],
                hint="an easier goal, --allow-low-parity to keep the closest, or more --calib images",
            )
        reporter.note(f"{message}; {closest}")
    adjusted = trials.adjusted(found.recipe)
    return replace(trials.target, recipe=adjusted.recipe), adjusted.rewritten, found.record


def _reached(step: RecipeStep) -> str:
    sqnr = "equal outputs" if step.sqnr_db is None else f"{step.sqnr_db:.1f} dB"
    return sqnr if step.accuracy is None else f"{step.accuracy:.2%}, {step.drop_in_points} points below float ({sqnr})"
