"""verify --layers: where an artifact and the float network part, operator by operator.

steps.py          a file as operators that run one by one; tflite_steps.py and onnx_steps.py, chosen by formats.py
reference.py      every tensor of the float network, of torch or of a float file
recreate.py       the float network of an artifact, made again from its manifest
matching.py       which tensor of the float network a tensor of the file is
analysis.py       own and inherited error of each operator
files.py          the same for two files of any origin
child.py          asks worker.py, the child process in which the operators run

ExecuTorch runs a delegate as a whole and gives none of the values inside, so its files cannot be compared like this.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgedeploy.core.artifact import GOLDEN, NHWC, Artifact, from_file
from edgedeploy.core.errors import EdgedeployError, UsageError
from edgedeploy.core.parity import Array, compare
from edgedeploy.core.provenance import OperatorFact
from edgedeploy.core.reporter import NullReporter, Reporter
from edgedeploy.core.results.layers import LayerError, LayerReport, first_line
from edgedeploy.core.spec import TensorSpec

from .child import ask
from .files import compare_files
from .formats import RUNTIMES
from .recreate import NetworkSource, rewritten_network
from .worker import WorkerRequest

if TYPE_CHECKING:
    from .reference import Reference

__all__ = [
    "LayerError",
    "LayerReport",
    "NetworkSource",
    "compare_files",
    "first_difference",
    "render_layers_page",
    "verify_layers",
]

# What the runtime fuses it may round once less, also in int8; below this it computes something else.
TOGETHER_DB = 25.0


def verify_layers(
    artifact: str | Path, *, source: NetworkSource | None = None, reporter: Reporter | None = None
) -> LayerReport:
    """Compares an artifact with its float network, operator by operator, on the stored input.

    Raises ArtifactInvalid, UsageError for a runtime that runs whole files only, RunnerFailed, and what `rewritten_network`
    raises.
    """
    reporter = reporter or NullReporter()
    loaded = Artifact.load(Path(artifact))
    golden, manifest = loaded.golden(), loaded.manifest
    if golden is None:
        raise UsageError(f"{loaded.folder} has no {GOLDEN} to verify against", hint="export the model again")
    _require_runtime(manifest.runtime, str(loaded))
    from .reference import of_network

    module = rewritten_network(loaded, golden, source or NetworkSource(), reporter)
    reference = of_network(module, golden.inputs[0])
    request = _request(manifest.runtime, loaded.path, loaded.operators(), manifest.inputs)
    with reporter.stage(f"run {loaded} operator by operator"):
        answer, outputs = ask(request, reference)
        whole = _whole(loaded, golden.inputs[0], outputs)
    agrees = whole is None or whole > TOGETHER_DB
    return LayerReport(
        str(loaded),
        manifest.model,
        manifest.runtime,
        answer.layers,
        answer.without_counterpart,
        whole,
        "" if agrees else f"the whole file computes something else than its operators one by one: SQNR {whole:.1f} dB",
    )


def first_difference(
    reference: Reference, runtime: str, path: Path, operators: Sequence[OperatorFact], inputs: Sequence[TensorSpec]
) -> str:
    """Where a file and the float network part first, in a line; "" where that cannot be found out."""
    if runtime not in RUNTIMES:
        return ""
    try:
        answer, _ = ask(_request(runtime, path, operators, inputs), reference)
    except EdgedeployError as error:
        return f"operator by operator: {error.message}"
    return first_line(LayerReport("", "", runtime, answer.layers, answer.without_counterpart))


def render_layers_page(report: LayerReport) -> str:
    """The report as one HTML page. Raises MissingExtra without matplotlib."""
    from edgedeploy.benchmarks.reports.layers import render_layers_html

    return render_layers_html(report)


def _require_runtime(runtime: str, name: str) -> None:
    if runtime not in RUNTIMES:
        raise UsageError(
            f"{name} cannot be compared layer by layer: {runtime} runs a delegate as a whole",
            details=["it gives no values from the inside, and has no way to run one operator of a delegate alone"],
            hint="export the same network for tflite or onnx: what is wrong with its numbers mostly shows there too",
        )


def _request(
    runtime: str, path: Path, operators: Sequence[OperatorFact], inputs: Sequence[TensorSpec]
) -> WorkerRequest:
    modules = tuple((fact.name, fact.module) for fact in operators)
    return WorkerRequest(runtime, str(path.absolute()), modules, tuple(spec.layout == NHWC for spec in inputs))


def _whole(artifact: Artifact, sample: Sequence[Array], outputs: Sequence[Array]) -> float | None:
    """SQNR of the whole file's outputs against those of its operators one by one: the lowest of all outputs."""
    from edgedeploy.benchmarks.executors import RunOptions
    from edgedeploy.benchmarks.executors.python_process import run_in_python
    from edgedeploy.pipeline.verification import in_file_form

    manifest = artifact.manifest
    options = RunOptions(warmup_runs=0, num_runs=0, min_secs=0)
    ran = run_in_python(manifest.runtime, artifact.path, in_file_form([sample], manifest.inputs), options).outputs[0]
    found = []
    for spec, whole, single in zip(manifest.outputs, ran, outputs, strict=True):
        real = TensorSpec(spec.name, spec.shape, layout=spec.layout)
        found.append(compare(from_file(single, real), from_file(whole, spec)).sqnr_db)
    return min((value for value in found if value is not None), default=None)
