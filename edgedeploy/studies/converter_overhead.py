"""What rewriting, verifying and recording add to the converters: `make overhead`.

For each target two processes take turns: `edgedeploy export`, and the same converter calls alone, on the same network and
calibration images, without rewrites, verification or manifest. The ratio of their wall times is what is reported: the
seconds depend on this machine.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from edgedeploy.core.child_processes import child_environment, module_command
from edgedeploy.core.storage.files import private_folder

BOUND = 1.5


def bare(model: str, target_name: str) -> None:
    """The converter calls alone, on the network and the samples of an export."""
    import torch

    from edgedeploy.core.reporter import NullReporter
    from edgedeploy.exporters.job import ExportJob, SharedWork
    from edgedeploy.models.rewrites import capture
    from edgedeploy.pipeline.export import ExportOptions, parse_targets, stages

    options, targets, reporter = ExportOptions(), parse_targets(target_name), NullReporter()
    network = stages.load(model, options, reporter)
    calibration = stages.calibrate(network, targets, options, reporter)
    prepared = stages.prepare(network, calibration, options, reporter)
    (target,) = targets
    example = tuple(torch.from_numpy(array) for array in prepared.golden.inputs[0])
    with private_folder() as folder:
        job = ExportJob(
            module=capture(prepared.network.module, example),
            example_inputs=example,
            input_names=("image",),
            output_names=("out",),
            recipe=target.recipe,
            calibration=calibration.samples,
            path=folder / target.file,
            shared=SharedWork(folder, folder / "log"),
        )
        target.exporter()(job)


def seconds(*arguments: str) -> float:
    """Wall time of `python -m edgedeploy...`."""
    start = time.perf_counter()
    subprocess.run(module_command(*arguments), check=True, capture_output=True, env=child_environment())
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
    print(f"{'target':16} {'export s':>9} {'bare s':>9} {'ratio':>6}   median of {options.rounds}, interleaved")
    for target in options.target.split(","):
        pairs = []
        for _ in range(options.rounds):
            with private_folder() as folder:
                ours = seconds("edgedeploy", "export", options.model, "--target", target, "--output", str(folder))
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
