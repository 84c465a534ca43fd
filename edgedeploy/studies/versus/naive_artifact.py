"""Makes one naive artifact, in a process of its own.

    python -m edgedeploy.studies.versus.naive_artifact MODEL TARGET OUTPUT [FORM]    ->  OUTPUT/MODEL/TARGET/

Weights, calibration images and verification are those of an export by this project. The result has a manifest, and
`edgedeploy bench` takes it as any other artifact. FORM is words of naive.py with "+" between them.
"""

from __future__ import annotations

import argparse
import datetime
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgedeploy.core.artifact import GOLDEN, Golden, Manifest, write_manifest
from edgedeploy.core.errors import EdgedeployError
from edgedeploy.core.provenance import Provenance
from edgedeploy.core.reporter import NullReporter
from edgedeploy.core.storage.files import private_folder, sha256_of, staged_folder
from edgedeploy.core.versions import EDGEDEPLOY_VERSION, versions

from .naive import CONVERTERS, FORM_WORDS, NaiveFile, NaiveJob

if TYPE_CHECKING:
    from edgedeploy.exporters.targets import Target
    from edgedeploy.pipeline.export.stages import PreparedNetwork


def export_naive(model: str, target_name: str, output: Path, form: frozenset[str] = frozenset()) -> Path:
    """Writes the artifact; returns its folder. Raises whatever a converter raises, or an EdgedeployError."""
    import torch

    from edgedeploy.pipeline.export import ExportOptions, parse_targets, stages

    options, targets, reporter = ExportOptions(), parse_targets(target_name), NullReporter()
    (target,) = targets
    network = stages.load(model, options, reporter)
    calibration = stages.calibrate(network, targets, options, reporter)
    prepared = stages.prepare(network, calibration, options, reporter)
    samples = calibration.samples if target.recipe.needs_calibration else ()
    module, final = prepared.network.module, output / model / target.name
    examples = tuple(torch.from_numpy(array) for array in prepared.golden.inputs[0])
    with private_folder() as scratch, staged_folder(final) as stage:
        written = CONVERTERS[target.backend.name](
            NaiveJob(module, examples, samples, scratch, stage / target.file, form)
        )
        _write_manifest(prepared, target, stage / target.file, written)
    return final


def _write_manifest(prepared: PreparedNetwork, target: Target, path: Path, file: NaiveFile) -> None:
    """Verifies the file in its runtime and describes it. Raises RunnerFailed where it does not run."""
    from edgedeploy.benchmarks.executors import RunOptions
    from edgedeploy.benchmarks.executors.python_process import run_in_python
    from edgedeploy.pipeline.verification import in_file_form, parity_of

    golden = prepared.golden
    once = RunOptions(warmup_runs=0, num_runs=0)
    ran = run_in_python(target.runtime, path, in_file_form(golden.inputs, file.inputs), once)
    manifest = Manifest(
        model=prepared.network.name,
        target=target.name,
        runtime=target.runtime,
        file=path.name,
        sha256=sha256_of(path),
        size_bytes=path.stat().st_size,
        inputs=file.inputs,
        outputs=file.outputs,
        parity=parity_of(golden, ran.outputs, file.outputs),
        threshold=target.threshold,
        provenance=Provenance(
            edgedeploy=EDGEDEPLOY_VERSION,
            created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            weights=prepared.network.weights,
            recipe=target.recipe,
            source=prepared.network.source,
            quantizer_settings=dict(file.settings) or None,
            versions=versions(),
        ),
        macs=prepared.macs,
        task=prepared.network.task,
    )
    write_manifest(path.parent, manifest, ())
    Golden(golden.inputs[:1], golden.outputs[:1]).save(path.parent / GOLDEN)


def one_line(error: BaseException) -> str:
    """An exception as one line of a table, without the paths of this machine."""
    if isinstance(error, EdgedeployError):
        text = ": ".join([error.message, *error.details[:1]])
    else:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        text = f"{type(error).__name__}: {lines[0] if lines else ''}"
    return without_folders(text)[:240]


def without_folders(text: str) -> str:
    """The text with absolute paths cut to their last part."""
    return re.sub(r"(?<![\w.])/(?:[^\s:'\"]+/)*([^\s/:'\"]*)", r"\1", text)


def main() -> int:
    """Writes one artifact; where that fails, the reason is the last line of stderr, after "error: "."""
    parser = argparse.ArgumentParser(prog="python -m edgedeploy.studies.versus.naive_artifact", description=__doc__)
    parser.add_argument("model")
    parser.add_argument("target")
    parser.add_argument("output", type=Path)
    parser.add_argument("form", nargs="?", default="")
    options = parser.parse_args()
    form = frozenset(filter(None, options.form.split("+")))
    if form - set(FORM_WORDS):
        parser.error(f"{options.form!r} is not a form: {', '.join(FORM_WORDS)}")
    try:
        export_naive(options.model, options.target, options.output, form)
    except Exception as error:  # a converter may raise anything; the reason goes into the table
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
