"""Exports one network to several targets and prints, as JSON, what became of each; in a process of its own."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from edgedeploy.core.errors import EdgedeployError, UsageError
from edgedeploy.core.reporter import NullReporter
from edgedeploy.pipeline.export import export, parse_input_size

BLAME = (": its SQNR of", " is kept below its threshold")  # how notes about an artifact's error go on


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints {"artifacts": {target: folder}, "errors": {target: message}, "notes": {target: what its export noted}}."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("output")
    parser.add_argument("size", help="HxW, or empty for the network's own")
    parser.add_argument("packages", help="a folder that is searched for packages, or empty")
    parser.add_argument("targets", nargs="+")
    options = parser.parse_args(arguments)
    if options.packages:
        sys.path.append(options.packages)
    errors: dict[str, str] = {}
    reporter = _Notes()
    try:
        artifacts = export(
            options.model,
            options.targets,
            input_size=parse_input_size(options.size) if options.size else None,
            num_calib=8,
            allow_low_parity=True,
            output=options.output,
            reporter=reporter,
        )
    except EdgedeployError as error:
        artifacts = list(error.completed)
        errors = _by_target(error, [t for t in options.targets if t not in {a.manifest.target for a in artifacts}])
    made = {artifact.manifest.target: str(artifact.folder) for artifact in artifacts}
    notes = {target: found for target in made if (found := reporter.about(target))}
    print(json.dumps({"artifacts": made, "errors": errors, "notes": notes}))
    return 0


class _Notes(NullReporter):
    """Keeps what is noted about artifacts."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def note(self, text: str) -> None:
        self._texts.append(text)

    def about(self, target: str) -> str:
        """What says which operator an artifact's error is from."""
        found = [text for text in self._texts if any(f"/{target}{word}" in text for word in BLAME)]
        return " | ".join(text.partition(f"/{target}")[2].lstrip(": ") for text in found)


def _by_target(error: EdgedeployError, failed: Sequence[str]) -> dict[str, str]:
    """The message of each target; the whole one where the network itself was refused."""
    found = {}
    for target in failed:
        lines = [line.removeprefix(f"{target}:").strip() for line in error.details if line.startswith(f"{target}:")]
        found[target] = " | ".join(lines or str(error).splitlines())
    if not found:
        raise UsageError("nothing failed and an error came") from error
    return found


if __name__ == "__main__":
    sys.exit(main())
