"""ONNX, for ONNX Runtime.

    capture -> torch.onnx (dynamo) -> onnxsim -> checker  [-> static QDQ int8, one scale per output channel]

Opset 20: the first with Gelu as one operator. The quantized file carries QuantizeLinear and DequantizeLinear pairs
(QDQ); ONNX Runtime fuses them into integer kernels when it loads the file. Activations are int8, or uint8 where the recipe
asks for them: on Arm int8 takes fewer instructions (TopFormer-tiny at 512x512: 185 and 197 million on a Cortex-A76), on
x86 its kernels take twice as long, slower than float.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgedeploy.core.backends import BACKENDS
from edgedeploy.core.errors import ExportFailed
from edgedeploy.core.provenance import GraphSummary
from edgedeploy.core.recipe import NumberFormat
from edgedeploy.core.spec import TensorSpec

from .job import ExportJob, Lowered, Sample, as_contiguous, example_outputs, tensor_specs
from .onnx_operators import exported_paths, node_paths, operator_facts, operators_of
from .onnx_passes.corrected_outputs import correct, layers_of_outputs
from .onnx_passes.float_layers import keep_float_layers
from .onnx_passes.float_logits import float_logits, has_float_logits
from .onnx_passes.float_outputs import float_outputs
from .onnx_passes.float_parameters import restore_float_parameters
from .onnx_passes.gelu_to_gate import gelu_to_gate
from .onnx_passes.global_average_pool import poolings_of_float_maps, use_global_average_pool
from .onnx_passes.hard_swish_to_gate import hard_swish_to_gate
from .onnx_passes.own_biases import own_biases
from .onnx_passes.qdq_graph import shapes_of
from .onnx_passes.softmax_ranges import float_readers, whole_ranges
from .operators.attention_weights import SAMPLES, SoftmaxRounding
from .operators.logits import logits_of
from .operators.output_correction import correct_outputs
from .ranges import LogitRangeEstimator, Observing, Range, RangeEstimator
from .recipes import Assignment, Quantization, assign, quantization_of, range_rules
from .regions import (
    DistributionTypes,
    DivisionTypes,
    LabelSelectionTypes,
    NormalizationTypes,
    Operator,
    PreprocessingTypes,
    RegionTypes,
    ResidualTypes,
)

OPSET = 20
# onnxsim would join the query, key and value projections of a value: one range for all of them, and their biases as sums of
# their own behind it, which are float in an int8 model.
KEPT_APART = ("fuse_qkv",)
# LayerNormalization is one operator, with a float kernel
NORMS = ("LayerNormalization", "InstanceNormalization")
MEANS = ("ReduceMean", "GlobalAveragePool")
REGION_TYPES = RegionTypes(
    NormalizationTypes(
        roots=("Reciprocal",),
        sums=("ReduceSum", *MEANS),
        squares=("Mul",),
        differences=("Sub",),
        products=("Mul",),
        between=("Sqrt", "Clip", "Add", "Max"),
        views=("Reshape", "Transpose"),
        after=("Mul", "Add", "Sub", "Reshape"),
        norms=NORMS,
    ),
    LabelSelectionTypes(selectors=("ArgMax", "TopK"), layers=("Conv", "Gemm", "MatMul")),
    DivisionTypes(
        divisions=("Div",),
        reciprocals=("Reciprocal",),
        multiplications=("Mul",),
        products=("MatMul", "Einsum"),
        layers=("Conv", "Gemm", "ConvTranspose"),
        views=("Reshape", "Transpose", "Slice", "Unsqueeze", "Squeeze", "Expand"),
    ),
    DistributionTypes(
        softmaxes=("Softmax", "LogSoftmax"),
        selects=("Where",),
        products=("MatMul", "Einsum"),
        views=("Reshape", "Transpose", "Slice", "Unsqueeze", "Squeeze", "Expand"),
        averages=("Mul", "ReduceSum", *MEANS),
        joins=("Concat",),
    ),
    ResidualTypes(
        norms=NORMS,
        additions=("Add",),
        joins=("Concat",),
        products=("MatMul",),
        views=("Reshape",),
    ),
    PreprocessingTypes(arithmetic=("Add", "Sub", "Mul", "Div"), views=("Reshape", "Transpose")),
    pads=("Pad",),
)


@dataclass(frozen=True)
class FloatModel:
    """The simplified float model.

    Attributes:
        content: the serialized ModelProto.
        modules: module path of each node, by the node's name.
    """

    content: bytes
    modules: Mapping[str, str]


class _FirstSample:
    """A calibration sample as onnxruntime's CalibrationDataReader: it finds what has a range; ours are taken instead."""

    def __init__(self, job: ExportJob) -> None:
        self._input_names = job.input_names
        self._samples = iter(job.calibration[:1])

    def get_next(self) -> dict[str, Any] | None:
        """The next sample by input name; None after the last one."""
        sample = next(self._samples, None)
        return None if sample is None else dict(zip(self._input_names, as_contiguous(sample), strict=True))


def to_onnx(job: ExportJob) -> Lowered:
    """Writes `model.onnx`, in float32 or static int8."""
    with job.shared.importing("onnx", "exporting to ONNX"):
        import onnx
        import onnxscript  # noqa: F401
        import onnxsim  # noqa: F401

    quantization = quantization_of(job.applied_recipe, BACKENDS["onnx"])
    source = job.shared.once("onnx", job.module, lambda: _float_model(job))
    model = onnx.load_from_string(source.content)
    inputs = tensor_specs(job.example_inputs, job.input_names)
    outputs = tensor_specs(example_outputs(job), job.output_names)
    settings: dict[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    if quantization is not None:
        assignment = assign(operators_of(model, source.modules), job.applied_recipe, REGION_TYPES)
        warnings = assignment.unmatched
        model, settings = _quantize(job, model, assignment, quantization)
        if job.integer_io:
            inputs, outputs = _integer_io(model, inputs, outputs)
    onnx.checker.check_model(model, full_check=True)
    job.path.write_bytes(model.SerializeToString())
    types = Counter(node.op_type for node in model.graph.node)
    summary = GraphSummary(dict(types.most_common()), opset=OPSET)
    return Lowered(inputs, outputs, operator_facts(model, source.modules), summary, settings, warnings=warnings)


def _float_model(job: ExportJob) -> FloatModel:
    import onnxsim
    import torch

    with job.shared.quietly():
        program = torch.onnx.export(
            job.module,
            job.example_inputs,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(job.input_names),
            output_names=list(job.output_names),
            verbose=False,
        )
    assert program is not None
    exported = program.model_proto
    use_global_average_pool(exported)
    with job.shared.quietly():
        model, same = onnxsim.simplify(exported, skipped_optimizers=list(KEPT_APART))
    if not same:
        raise ExportFailed("onnxsim's own check found that its simplified model computes something else")
    return FloatModel(model.SerializeToString(), node_paths(model, exported_paths(exported)))


def _quantize(
    job: ExportJob, model: Any, assignment: Assignment, quantization: Quantization
) -> tuple[Any, dict[str, Any]]:
    """The quantized model, and the quantizer's settings."""
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    settings: dict[str, Any] = {
        "quant_format": QuantFormat.QDQ,
        "activation_type": QuantType.QInt8 if quantization.format is NumberFormat.STATIC_INT8 else QuantType.QUInt8,
        "weight_type": QuantType.QInt8,
        "per_channel": True,
    }
    chosen = [str(key) for key in assignment.in_float]
    operators, lost = operators_of(model, {}), _lost_softmaxes(job, model, assignment)
    further = float_readers(operators, chosen, REGION_TYPES.distribution)
    of_lost = float_readers(operators, lost, REGION_TYPES.distribution, products=True)
    in_float = list(dict.fromkeys([*chosen, *further, *lost, *of_lost]))
    in_float += [name for name in poolings_of_float_maps(model, in_float, _int8_types()) if name not in in_float]
    own_biases(model)
    source, target = job.shared.scratch / "float.onnx", job.shared.scratch / "int8.onnx"
    source.write_bytes(model.SerializeToString())
    with job.shared.quietly():
        ranges = _ranges(job, model, assignment)
        overrides: dict[str, Any] = {
            name: [{"rmin": np.float32(r.low), "rmax": np.float32(r.high)}] for name, r in ranges.items()
        }
        overrides |= whole_ranges(model)
        overrides |= {name: [{"symmetric": True}] for name in _one_scale(model)}
        quantize_static(
            str(source),
            str(target),
            _FirstSample(job),
            **settings,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=in_float,
            extra_options={"TensorQuantOverrides": overrides} if overrides else None,
        )
    record: dict[str, Any] = {name: str(value) for name, value in settings.items()}
    record["float_nodes"] = in_float
    quantized = onnx.load(str(target))
    restore_float_parameters(quantized, model)
    if quantization.format is NumberFormat.STATIC_INT8:
        record["gelu_error_steps"] = gelu_to_gate(quantized)
        record["hard_swish_error_steps"] = hard_swish_to_gate(quantized)
        record["float_logits"] = float_logits(quantized, model, {name: r.high for name, r in ranges.items()})
    if job.applied_recipe.float_outputs:
        record["float_outputs"] = float_outputs(quantized, ranges)
    record["float_layers"] = keep_float_layers(quantized)
    if job.applied_recipe.correct_outputs:
        record["corrected_outputs"] = _correct_outputs(job, quantized)
    return quantized, record


def _correct_outputs(job: ExportJob, quantized: Any) -> int:
    """Corrects float outputs, in place, by what they are off by on calibration samples; returns how many."""
    layers = layers_of_outputs(quantized)
    if not layers:
        return 0
    try:
        session = _session(quantized)
    except Exception:  # onnxruntime refuses the model: verification finds the operator and says so
        return 0

    def run(sample: Sample) -> list[Any]:
        return list(session.run(None, dict(zip(job.input_names, as_contiguous(sample), strict=True))))

    return correct_outputs(job, layers, run, functools.partial(correct, quantized))


def _int8_types() -> set[str]:
    """The operator types that onnxruntime's quantizer has."""
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    return {*QDQRegistry, *QLinearOpsRegistry}


def _one_scale(model: Any) -> tuple[str, ...]:
    """Constants that must not have a scale per channel: operands of MatMul that are no weight (in, out) on the right.

    onnxruntime's quantizer takes dimension 1 for the outputs of every constant operand. Where it is another one, the
    integer kernel, which ONNX Runtime uses on Arm, refuses the model when it runs.
    """
    matrices = {constant.name for constant in model.graph.initializer if len(constant.dims) == 2}
    constants = {constant.name for constant in model.graph.initializer}
    found = {
        name: None
        for node in model.graph.node
        if node.op_type == "MatMul"
        for side, name in enumerate(node.input)
        if name in constants and not (side == 1 and name in matrices)
    }
    return tuple(found)


def _ranges(job: ExportJob, model: Any, assignment: Assignment) -> dict[str, Range]:
    """The ranges of the values that become integers, by their names."""
    import onnx

    inferred = onnx.shape_inference.infer_shapes(model)
    values = (*inferred.graph.value_info, *inferred.graph.output, *inferred.graph.input)
    floats = {value.name for value in values if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
    inputs = {value.name: job.applied_recipe.rules[0] for value in model.graph.input}
    operators, margin = operators_of(model, {}), job.applied_recipe.range_margin
    logits = _logits(model, operators, shapes_of(values))
    observed = {
        str(value): (LogitRangeEstimator if value in logits else RangeEstimator)(rule.observer, margin=margin)
        for value, rule in (range_rules(operators, assignment) | inputs).items()
        if rule.format.is_static and value in floats
    }
    _observe(job, model, job.calibration, observed)
    return {name: estimator.range() for name, estimator in observed.items()}


def _logits(model: Any, operators: Sequence[Operator], shapes: Mapping[str, Sequence[int]]) -> set[Hashable]:
    """Names of the values that softmaxes over the last axis turn into weights, of those whose shape is known."""
    others = {
        node.name
        for node in model.graph.node
        if node.op_type == "Softmax"
        for axis in [next((a.i for a in node.attribute if a.name == "axis"), -1)]
        if axis not in (-1, len(shapes.get(node.input[0], ())) - 1)
    }
    outputs = {value.name for value in model.graph.output}
    sizes = {name: shape[-1] for name, shape in shapes.items() if shape and name not in outputs}
    return logits_of(operators, sizes, others)


def _lost_softmaxes(job: ExportJob, model: Any, assignment: Assignment) -> list[str]:
    """Names of the softmaxes whose values are too small for a range from 0 to 1.

    A softmax of a product of int8 operands is none of them: it becomes a float one, and its values have their own range.
    """
    writers = {name: node for node in model.graph.node for name in node.output}
    formats = {str(key): rule.format for key, rule in assignment.rules.items()}
    in_int8 = {name for name, format in formats.items() if format is NumberFormat.STATIC_INT8}
    rounding = {
        node.output[0]: SoftmaxRounding()
        for node in model.graph.node
        if node.op_type == "Softmax" and formats[node.name].is_static and not has_float_logits(model, node, in_int8)
    }
    if rounding:
        _observe(job, model, job.calibration[:SAMPLES], rounding)
    return [writers[value].name for value, found in rounding.items() if found.is_lost]


def _observe(job: ExportJob, model: Any, samples: Sequence[tuple[Any, ...]], by_value: Mapping[str, Observing]) -> None:
    """Runs the float model; gives each value's observer what the samples make of it."""
    import onnx

    inputs, outputs = ({value.name for value in ends} for ends in (model.graph.input, model.graph.output))
    names = [value for value in by_value if value not in inputs]
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    further = [name for name in names if name not in outputs]
    watched.graph.output.extend(onnx.helper.make_tensor_value_info(v, onnx.TensorProto.FLOAT, None) for v in further)
    session = _session(watched)
    for sample in samples:
        given = dict(zip(job.input_names, as_contiguous(sample), strict=True))
        for name, array in (*zip(names, session.run(names, given), strict=True), *given.items()):
            if name in by_value:
                by_value[name].update(array)


def _session(model: Any) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])


def _integer_io(
    model: Any, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Removes the first QuantizeLinear and the last DequantizeLinear, in place: inputs and outputs become integers."""
    graph = model.graph
    return (
        tuple(_integer_input(graph, value, spec) for value, spec in zip(graph.input, inputs, strict=True)),
        tuple(_integer_output(graph, value, spec) for value, spec in zip(graph.output, outputs, strict=True)),
    )


def _integer_input(graph: Any, value: Any, spec: TensorSpec) -> TensorSpec:
    readers = [node for node in graph.node if value.name in node.input]
    if len(readers) != 1 or readers[0].op_type != "QuantizeLinear":
        return spec
    integer, quantized = _as_integer(graph, value, spec, readers[0]), readers[0].output[0]
    graph.node.remove(readers[0])
    _rename(graph, quantized, value.name)
    return integer


def _integer_output(graph: Any, value: Any, spec: TensorSpec) -> TensorSpec:
    writer = next((node for node in graph.node if value.name in node.output), None)
    if writer is None or writer.op_type != "DequantizeLinear":
        return spec
    integer, quantized = _as_integer(graph, value, spec, writer), writer.input[0]
    graph.node.remove(writer)
    _rename(graph, quantized, value.name)
    return integer


def _as_integer(graph: Any, value: Any, spec: TensorSpec, conversion: Any) -> TensorSpec:
    """Gives a graph's input or output the type of its conversion, and the spec its scale and zero point."""
    import onnx

    constants = {constant.name: constant for constant in graph.initializer}
    scale, zero_point = (onnx.numpy_helper.to_array(constants[name]) for name in conversion.input[1:3])
    value.type.tensor_type.elem_type = onnx.helper.np_dtype_to_tensor_dtype(zero_point.dtype)
    return TensorSpec(spec.name, spec.shape, zero_point.dtype.name, spec.layout, float(scale), int(zero_point))


def _rename(graph: Any, old: str, new: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = new
