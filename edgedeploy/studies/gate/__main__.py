"""Exports the small network and counts its Arm instructions: python -m edgedeploy.studies.gate RESULTS.json"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import edgedeploy
from edgedeploy.core.errors import EdgedeployError
from edgedeploy.core.measurement import Measurement, ResultFile
from edgedeploy.core.storage.files import private_folder, write_atomically

from . import network

TARGETS = ("onnx-int8", "executorch-int8", "tflite-int8", "tflite-fp32")  # each runtime; a minute of one core in all


def count() -> list[Measurement]:
    """The rows of every target's artifact; what differs from run to run, and is not compared, is left out."""
    with private_folder() as folder:
        artifacts = edgedeploy.export(
            f"{network.__file__}:make", TARGETS, inputs=("1x3x64x64",), output=folder, allow_low_parity=True
        )
        rows = edgedeploy.bench(artifacts, device="qemu")
    return [replace(row, artifact=f"{row.model}/{row.target}", started_at="") for row in rows]


def main() -> None:
    """Writes the result file."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        write_atomically(Path(sys.argv[1]), ResultFile.of(count()).to_json())
    except EdgedeployError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
