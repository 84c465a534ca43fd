"""What rewriting, verifying and recording add to the converters: `make overhead`.

For each target two processes take turns: `edgedeploy export`, and the same converter calls alone, on the same network and
calibration images, without rewrites, proof or manifest. The ratio of their wall times is what is told: seconds are this
machine's own business.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BOUND = 1.5


def bare(model: str, target_name: str) -> None:
    """The converter calls alone."""
    import torch

    from edgedeploy.core.reporter import NullReporter
    from edgedeploy.data.images import from_photographs
    from edgedeploy.exporters.job import ExportJob, SharedWork
    from edgedeploy.exporters.targets import TARGETS
    from edgedeploy.models.loading.networks import network_for
    from edgedeploy.models.rewrites import capture
    from edgedeploy.pipeline.export import NUM_CALIB, _settle_random_weights

    target, network = TARGETS[target_name], network_for(model)
    assert network.image_size is not None
    images = from_photographs(network.image_size, network.preprocessing, NUM_CALIB)
    _settle_random_weights(network, images, NullReporter())  # the network itself, not part of the export
    example = (torch.from_numpy(images.images[0]),)
    with tempfile.TemporaryDirectory() as folder:
        shared = SharedWork(Path(folder), Path(folder) / "log")
        module = capture(network.module, example)
        samples = [(image,) for image in images] if target.recipe.needs_calibration else []
        path = Path(folder) / target.file
        target.exporter()(ExportJob(module, example, ("image",), ("out",), target.recipe, samples, False, path, shared))


def seconds(*arguments: str) -> float:
    """Wall time of `python -m edgedeploy...`."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", *arguments], check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Prints a row for each target; exit code 1 where the median ratio is above the bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="topformer-tiny")
    parser.add_argument("--target", default="onnx-int8,executorch-int8,tflite-int8")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        bare(options.model, options.target)
        return
    slow = []
    print(f"{'target':16} {'export s':>9} {'bare s':>9} {'ratio':>6}   median of {options.rounds}, taking turns")
    for target in options.target.split(","):
        pairs = []
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory() as folder:
                ours = seconds("edgedeploy", "export", options.model, "--target", target, "--output", folder)
            pairs.append(
                (
                    ours,
                    seconds(
                        "edgedeploy.studies.converter_overhead", "--bare", "--model", options.model, "--target", target
                    ),
                )
            )
        ratio = statistics.median(a / b for a, b in pairs)
        a, b = (statistics.median(side) for side in zip(*pairs, strict=True))
        print(f"{target:16} {a:9.1f} {b:9.1f} {ratio:6.2f}", flush=True)
        slow += [target] if ratio > BOUND else []
    sys.exit(f"above {BOUND}: {', '.join(slow)}" if slow else 0)


if __name__ == "__main__":
    main()
