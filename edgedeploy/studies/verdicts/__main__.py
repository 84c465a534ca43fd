"""Runs the trials.

python -m edgedeploy.studies.verdicts simulate [--scale 0.1]
python -m edgedeploy.studies.verdicts real BASE HEAD [--trials 200]    artifacts; the same one twice for false alarms
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .real_trials import compare_repeatedly, summary
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
    arguments = parser.parse_args()
    if arguments.kind == "real":
        print(summary(compare_repeatedly(arguments.base, arguments.head, arguments.trials)))
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


if __name__ == "__main__":
    main()
