"""Fills the matrix of strangers' networks, and writes its page anew after every network. The same command goes on."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from edgedeploy.core.storage.files import write_atomically
from edgedeploy.studies.command import exit_with
from edgedeploy.studies.results import Origin, RecordFile

from .cells import Fate, Stranger, current_code, exporter, fill, strangers
from .libraries import packages
from .page import is_good, render


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 1 where a cell is not as it must be."""
    parser = argparse.ArgumentParser(prog="python -m edgedeploy.studies.strangers", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("build/strangers"), help="artifacts, and timm")
    parser.add_argument("--results", type=Path, default=Path("docs/strangers.json"), help="what became of each cell")
    parser.add_argument("--page", type=Path, default=Path("docs/strangers.md"), help="the page that is written")
    parser.add_argument("--only", default="", help="only networks whose name contains this: own:, timm:, vit")
    options = parser.parse_args(arguments)
    everything = list(strangers())
    wanted = [network for network in everything if options.only in network.name]
    if not wanted:
        parser.error(f"no network's name contains {options.only!r}")
    code, origin = current_code(), Origin.here()
    needs_timm = any(network.model.startswith("timm:") for network in wanted)
    found = packages(options.output.absolute() / "packages") if needs_timm else None
    results = RecordFile(options.results, Fate)
    bad = 0

    def on_network(network: Stranger, fates: dict[str, Fate], fresh: bool) -> None:
        nonlocal bad
        wrong = [target for target, fate in fates.items() if not is_good(network, target, fate)]
        bad += len(wrong)
        write_atomically(options.page, render(results.read(), everything))
        print(f"{network.name}: {', '.join(wrong) or 'all good'}{'' if fresh else ', as before'}", flush=True)

    export = exporter(options.output.absolute() / "artifacts", found, code, origin)
    fill(wanted, export, results, code, on_network)
    return 1 if bad else 0


if __name__ == "__main__":
    exit_with(main)
