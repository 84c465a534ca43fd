"""The naive path: what the tools' own documentation says, on the bare network, with their defaults.

    python -m edgedeploy.studies.versus.naive MODEL TARGET OUTPUT [FORM]    ->  OUTPUT/MODEL/TARGET/

    LiteRT         litert_torch.convert; ai-edge-quantizer's recipe static_wi8_ai8, which makes inputs and outputs int8,
                   with its own calibration
    ExecuTorch     XNNPACKQuantizer, static, per channel, with its own observers; to_edge_transform_and_lower with
                   XnnpackPartitioner
    ONNX Runtime   torch.onnx.export (dynamo); quant_pre_process, where it fails after onnxsim, and then without its
                   symbolic shapes; quantize_static with QDQ, per channel, and its defaults: int8 weights and activations

Weights, calibration images and verification are those of an export by this project; none of its rewrites, recipes or
exporters is used. The result is an artifact with a manifest, which `edgedeploy bench` takes as any other.

FORM changes the defaults, by words with "+" between them, to see what a figure depends on:

    channel-last          images enter and maps leave in NHWC, by litert_torch.to_channel_last_io
    float-io              inputs and outputs stay float
    symmetric-products    the second operand of each matrix product has zero point 0
    uint8-activations     in ONNX
"""

from __future__ import annotations

import argparse
import datetime
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedeploy.core.artifact import GOLDEN, Golden, Manifest, write_manifest
from edgedeploy.core.errors import EdgedeployError
from edgedeploy.core.parity import Array
from edgedeploy.core.provenance import Provenance
from edgedeploy.core.reporter import NullReporter
from edgedeploy.core.spec import TensorSpec
from edgedeploy.core.storage.files import private_folder, sha256_of, staged_folder
from edgedeploy.core.versions import EDGEDEPLOY_VERSION, versions

if TYPE_CHECKING:
    import torch
    from torch import nn

    from edgedeploy.exporters.targets import Target
    from edgedeploy.pipeline.export.stages import PreparedNetwork

FORM_WORDS = ("channel-last", "float-io", "symmetric-products", "uint8-activations")
SIGNATURE = "serving_default"
# through which a matrix product's operand is followed to the tensors that share its scale
VIEWS = ("RESHAPE", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "SPLIT", "GATHER")


Samples = Sequence[tuple[Array, ...]]


@dataclass(frozen=True)
class NaiveJob:
    """What a converter gets.

    Attributes:
        module: the bare eager network.
        examples: one input of each shape.
        calibration: samples for activation ranges; empty for float.
        scratch: for intermediate files.
        path: of the file to write.
        form: words of FORM_WORDS.
    """

    module: nn.Module
    examples: tuple[torch.Tensor, ...]
    calibration: Samples
    scratch: Path
    path: Path
    form: frozenset[str] = frozenset()


@dataclass(frozen=True)
class NaiveFile:
    """What the written file takes and gives, and the quantizer's settings."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    settings: Mapping[str, str]


def export_naive(model: str, target_name: str, output: Path, form: frozenset[str] = frozenset()) -> Path:
    """Writes the artifact; returns its folder. Raises whatever a converter raises, or an EdgedeployError."""
    import torch

    from edgedeploy.pipeline.export import ExportOptions, parse_targets, stages

    options, targets, reporter = ExportOptions(), parse_targets(target_name), NullReporter()
    (target,) = targets
    network = stages.load(model, options, reporter)
    calibration = stages.calibrate(network, targets, options, reporter)
    prepared = stages.prepare(network, calibration, options, reporter)
    samples: Samples = calibration.samples if target.recipe.needs_calibration else ()
    module, final = prepared.network.module, output / model / target.name
    if "channel-last" in form:
        module, prepared, samples = _channel_last(module, prepared, samples)
    examples = tuple(torch.from_numpy(array) for array in prepared.golden.inputs[0])
    with private_folder() as scratch, staged_folder(final) as stage:
        written = CONVERTERS[target.backend.name](
            NaiveJob(module, examples, samples, scratch, stage / target.file, form)
        )
        _write_manifest(prepared, target, stage / target.file, written)
    return final


def to_tflite(job: NaiveJob) -> NaiveFile:
    """litert_torch, then ai-edge-quantizer."""
    import litert_torch
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import qtyping, quantizer, recipe

    source = job.scratch / "float.tflite" if job.calibration else job.path
    litert_torch.convert(job.module.eval(), job.examples).export(str(source))
    settings = {}
    if job.calibration:
        settings = {"recipe": "static_wi8_ai8"}
        worker = quantizer.Quantizer(str(source), recipe.static_wi8_ai8())
        if "float-io" in job.form:
            for end in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
                worker.update_quantization_recipe(".*", end, algorithm_key=recipe.AlgorithmName.NO_QUANTIZE)
        names = list(Interpreter(str(source)).get_signature_list()[SIGNATURE]["inputs"])
        samples = [dict(zip(names, sample, strict=True)) for sample in job.calibration]
        ranges = worker.calibrate({SIGNATURE: samples})
        if "symmetric-products" in job.form:
            _make_second_operands_symmetric(source, ranges)
        worker.quantize(ranges).export_model(str(job.path), overwrite=True)
    interpreter = Interpreter(str(job.path))
    return NaiveFile(
        _tflite_specs("image", interpreter.get_input_details()),
        _tflite_specs("out", interpreter.get_output_details()),
        settings,
    )


def _make_second_operands_symmetric(source: Path, ranges: Any) -> None:
    """Widens the ranges of matrix products' second operands so that zero point 0 holds them, in place."""
    from edgedeploy.exporters.tflite_file import read_graph

    graph = read_graph(source.read_bytes())
    writer = {value: op for op in graph.operators for value in op.outputs}
    pending = [op.inputs[1] for op in graph.operators if op.type == "BATCH_MATMUL"]
    while pending:
        value = pending.pop()
        found = ranges.get(graph.tensors[value].name)
        if found:
            largest = max(float(np.max(np.abs(found["min"]))), float(np.max(np.abs(found["max"]))))
            found["min"] = np.full_like(found["min"], -largest * 128 / 127)
            found["max"] = np.full_like(found["max"], largest)
        if value in writer and writer[value].type in VIEWS:
            pending.append(writer[value].inputs[0])


def _tflite_specs(name: str, tensors: Sequence[dict[str, Any]]) -> tuple[TensorSpec, ...]:
    specs = []
    for index, tensor in enumerate(tensors):
        scale, zero_point = tensor["quantization"]
        spec = TensorSpec(f"{name}_{index}", tuple(map(int, tensor["shape"])), np.dtype(tensor["dtype"]).name)
        is_integer = np.issubdtype(tensor["dtype"], np.integer) and scale != 0.0
        specs.append(replace(spec, scale=float(scale), zero_point=int(zero_point)) if is_integer else spec)
    return tuple(specs)


def to_executorch(job: NaiveJob) -> NaiveFile:
    """XNNPACKQuantizer, then XnnpackPartitioner."""
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from executorch.exir import to_edge_transform_and_lower
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    module, settings = job.module.eval(), {}
    if job.calibration:
        settings = {"quantizer": "XNNPACKQuantizer", "is_per_channel": "True"}
        worker = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
        observed = prepare_pt2e(torch.export.export(module, job.examples).module(), worker)
        with torch.no_grad():
            for sample in job.calibration:
                observed(*(torch.from_numpy(array) for array in sample))
        module = convert_pt2e(observed)
    program = torch.export.export(module, job.examples)
    edge = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    job.path.write_bytes(edge.to_executorch().buffer)
    return _float_ends(job, settings)


def to_onnx(job: NaiveJob) -> NaiveFile:
    """torch.onnx, then onnxruntime.quantization."""
    import torch
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    source = job.scratch / "float.onnx" if job.calibration else job.path
    program = torch.onnx.export(job.module.eval(), job.examples, dynamo=True, input_names=["image"])
    assert program is not None
    program.save(str(source))
    if not job.calibration:
        return _float_ends(job, {})
    prepared, steps = _pre_processed(source)
    activations = QuantType.QUInt8 if "uint8-activations" in job.form else QuantType.QInt8
    settings = {"quant_format": QuantFormat.QDQ, "per_channel": True, "activation_type": activations}
    quantize_static(str(prepared), str(job.path), _Reader(job.calibration), **settings)
    return _float_ends(job, {**{key: str(value) for key, value in settings.items()}, "pre_processing": steps})


def _pre_processed(source: Path) -> tuple[Path, str]:
    """The file that quant_pre_process makes, and what had to be done for it to run."""
    import onnx
    import onnxsim
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared, simple = source.with_name("prepared.onnx"), source.with_name("simple.onnx")
    try:
        quant_pre_process(str(source), str(prepared))
    except Exception:  # its symbolic shape inference raises many kinds, TypeError among them
        onnx.save(onnxsim.simplify(onnx.load(str(source)))[0], str(simple))
    else:
        return prepared, "quant_pre_process"
    try:
        quant_pre_process(str(simple), str(prepared))
    except Exception:
        quant_pre_process(str(simple), str(prepared), skip_symbolic_shape=True)
        return prepared, "onnxsim, quant_pre_process without symbolic shapes"
    return prepared, "onnxsim, quant_pre_process"


class _Reader:
    """Calibration samples as onnxruntime asks for them."""

    def __init__(self, samples: Samples) -> None:
        self._samples = iter(samples)

    def get_next(self) -> dict[str, Array] | None:
        """The next sample by input name; None after the last one."""
        sample = next(self._samples, None)
        return None if sample is None else {"image": np.ascontiguousarray(sample[0])}


Converter = Callable[[NaiveJob], NaiveFile]
CONVERTERS: Mapping[str, Converter] = {"tflite": to_tflite, "executorch": to_executorch, "onnx": to_onnx}


def _float_ends(job: NaiveJob, settings: Mapping[str, str]) -> NaiveFile:
    import torch

    from edgedeploy.exporters.job import tensor_specs

    with torch.no_grad():
        outputs = torch.utils._pytree.tree_leaves(job.module(*job.examples))
    names = [f"out_{index}" for index in range(len(outputs))]
    return NaiveFile(tensor_specs(job.examples, ["image"]), tensor_specs(outputs, names), settings)


def _channel_last(
    module: nn.Module, prepared: PreparedNetwork, samples: Samples
) -> tuple[nn.Module, PreparedNetwork, Samples]:
    """The network with NHWC images and maps, and its samples and reference outputs in that order."""
    import litert_torch

    golden = prepared.golden
    maps = [index for index, output in enumerate(golden.outputs[0]) if output.ndim == 4]
    golden = Golden(
        [[_nhwc(array) for array in sample] for sample in golden.inputs],
        [[_nhwc(array) for array in sample] for sample in golden.outputs],
    )
    images = list(range(len(golden.inputs[0])))
    wrapped = litert_torch.to_channel_last_io(module, args=images, outputs=maps)
    return wrapped, replace(prepared, golden=golden), [tuple(map(_nhwc, sample)) for sample in samples]


def _nhwc(array: Array) -> Array:
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1)) if array.ndim == 4 else array


def _write_manifest(prepared: PreparedNetwork, target: Target, path: Path, file: NaiveFile) -> None:
    """Verifies the file in its runtime and describes it. Raises RunnerFailed where it does not run."""
    from edgedeploy.benchmarks.executors import RunOptions
    from edgedeploy.benchmarks.executors.python_process import run_in_python
    from edgedeploy.pipeline.verification import parity_of, quantized

    golden = prepared.golden
    once = RunOptions(warmup_runs=0, num_runs=0)
    ran = run_in_python(target.runtime, path, quantized(golden.inputs, file.inputs), once)
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
    parser = argparse.ArgumentParser(prog="python -m edgedeploy.studies.versus.naive", description=__doc__)
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
