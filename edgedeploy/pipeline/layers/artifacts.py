"""An artifact beside its float network, which is made again; what `verify --layers ARTIFACT` calls."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgedeploy.core.artifact import GOLDEN, Artifact, from_file
from edgedeploy.core.errors import UsageError
from edgedeploy.core.parity import Array, compare
from edgedeploy.core.reporter import NullReporter, Reporter
from edgedeploy.core.results.layers import LayerReport
from edgedeploy.core.spec import TensorSpec

from .child import ask, request_for
from .formats import RUNTIMES
from .recreate import NetworkSource, rewritten_network
from .reference import of_network

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
    module = rewritten_network(loaded, golden, source or NetworkSource(), reporter)
    reference = of_network(module, golden.inputs[0])
    request = request_for(manifest.runtime, loaded.path, loaded.operators(), manifest.inputs)
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
        answer.not_trusted,
        whole,
        "" if agrees else f"the whole file computes something else than its operators one by one: SQNR {whole:.1f} dB",
    )


def _require_runtime(runtime: str, name: str) -> None:
    if runtime not in RUNTIMES:
        raise UsageError(
            f"{name} cannot be compared layer by layer: {runtime} runs a delegate as a whole",
            details=["it gives no values from the inside, and has no way to run one operator of a delegate alone"],
            hint="export the same network for tflite or onnx: what is wrong with its numbers mostly shows there too",
        )


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
