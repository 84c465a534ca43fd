"""Runs the trials.

python -m edgedeploy.studies.verdicts simulate [--scale 0.1]
python -m edgedeploy.studies.verdicts real BASE HEAD [--trials 200] [--method separate] [--output FILE]
    artifacts; the same one twice for false alarms. The same command goes on after a stop.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .real_trials import run_trials, summary
from .simulation import all_trials, creep_trials


def main() -> None:
    """Parses the arguments and prints as the trials go on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    simulate = kinds.add_parser("simulate")
    simulate.add_argument("--scale", type=float, default=1.0, help="make so much fewer trials")
    real = kinds.add_parser("real")
    real.add_argument("base", type=Path)
    real.add_argument("head", type=Path)
    real.add_argument("--trials", type=int, default=200)
    real.add_argument("--first", type=int, default=0, help="number of the first one, where others were made elsewhere")
    real.add_argument("--method", choices=("interleaved", "separate"), default="interleaved")
    real.add_argument("--output", type=Path, default=Path("build/trials.jsonl"))
    arguments = parser.parse_args()
    if arguments.kind == "real":
        real_trials(arguments)
        return
    print("| trials | count | slower | faster | same | not trustworthy | unknown |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for trials in all_trials(arguments.scale):
        print(trials, flush=True)
    count = max(1, round(100 * arguments.scale))
    creeping, steady = creep_trials(count)
    print(
        f"\nOf {count} histories of 20 steps of 0.5 % each, {creeping} have a change point; of {count} without, {steady}."
    )


def real_trials(arguments: argparse.Namespace) -> None:
    """Prints each trial, and at the end how many there are of each verdict."""
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    done = []
    options = (arguments.base, arguments.head, arguments.method, arguments.trials, arguments.output)
    for trial in run_trials(*options, first=arguments.first):
        done.append(trial)
        print(f"{trial.number}: {trial.change:+.1%} {trial.verdict}", flush=True)
    print(summary(done))


if __name__ == "__main__":
    main()
