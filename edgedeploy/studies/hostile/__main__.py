"""Tries commands under bad input, bad surroundings and signals, and prints each thing that must not happen.

    python -m edgedeploy.studies.hostile --tries 500 [--first N]

A try is drawn by its number: `--first 17 --tries 1` runs one again. Exit code 1 where a try found something.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections import Counter
from collections.abc import Sequence

from edgedeploy.core.storage.files import private_folder
from edgedeploy.studies.command import exit_with

from .judge import judge
from .material import make
from .tries import Try, draw


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 1 where a try found something."""
    parser = argparse.ArgumentParser(prog="python -m edgedeploy.studies.hostile", description=__doc__)
    parser.add_argument("--tries", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="the number of the first try")
    options = parser.parse_args(arguments)
    codes: Counter[str] = Counter()
    bad = 0
    with private_folder() as folder:
        (folder / "material").mkdir()
        make(folder / "material")
        for number in range(options.first, options.first + options.tries):
            attempt, sandbox = draw(number), folder / "sandbox"
            sandbox.mkdir()
            ending, faults = judge(attempt, folder / "material", sandbox)
            shutil.rmtree(sandbox)
            codes[str(ending.code)] += 1
            if sum(codes.values()) % 50 == 0:
                print(f"{sum(codes.values())} of {options.tries}", file=sys.stderr, flush=True)
            if faults:
                bad += 1
                print(f"{number}: {_line(attempt)}: {attempt.what}; exit code {ending.code}, {ending.seconds:.1f} s")
                print("".join(f"    {fault}\n" for fault in faults) + _last_lines(ending.text), flush=True)
    print(f"{options.tries} tries, {bad} with a fault; exit codes: {dict(codes.most_common())}")
    return 1 if bad else 0


def _line(attempt: Try) -> str:
    return " ".join(repr(argument[:60]) for argument in attempt.arguments)


def _last_lines(text: str) -> str:
    return "".join(f"    | {line[:200]!r}\n" for line in text.splitlines()[-6:])


if __name__ == "__main__":
    exit_with(main)
