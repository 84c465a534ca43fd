"""TFLite, for LiteRT.

    litert_torch.convert -> .tflite in float  [-> ai-edge-quantizer: fp16 weights, dynamic int8, static int8]

The float file is made once and every quantized one starts from it. Inside, the converter moves images from torch's layout
(NCHW) to NHWC; the permutes of a network that takes and gives NHWC cancel with its own.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgedeploy.core.backends import BACKENDS
from edgedeploy.core.provenance import GraphSummary
from edgedeploy.core.recipe import NumberFormat, RecipeRule
from edgedeploy.core.spec import TensorSpec
from edgedeploy.core.storage.arrays import Mapped

from .job import ExportJob, FileRefused, Lowered, Sample, as_contiguous
from .operators.attention_weights import SAMPLES, SoftmaxRounding
from .operators.logits import logits_of
from .ranges import LogitRangeEstimator, Observing, RangeEstimator
from .recipes import Assignment, Quantization, assign, quantization_of, range_rules
from .regions import (
    DistributionTypes,
    DivisionTypes,
    LabelSelectionTypes,
    NormalizationTypes,
    PreprocessingTypes,
    RegionTypes,
    ResidualTypes,
)
from .tflite_edits.activations import drop_implied_activations
from .tflite_edits.editable_file import EditableFile
from .tflite_edits.float_gates import with_float_gates
from .tflite_edits.float_outputs import clip_inputs, correct_file, dynamic_inputs, with_float_outputs
from .tflite_edits.pads import pad_before_transpose
from .tflite_edits.products import read_operands_by_columns
from .tflite_file import FileGraph, first_refused, largest_constants, read_graph, read_tree, written
from .tflite_operators import delegated_operators, module_paths, operator_facts, operators_of
from .tflite_ranges import adjusted_ranges, symmetric_operands

SIGNATURE = "serving_default"
NO_QUANTIZE = "no_quantize"
REGION_TYPES = RegionTypes(
    NormalizationTypes(
        roots=("RSQRT",),
        sums=("MEAN", "SUM"),
        squares=("MUL", "SQUARED_DIFFERENCE"),
        differences=("SUB",),
        products=("MUL",),
        between=("ADD", "MAXIMUM"),
        views=("RESHAPE", "TRANSPOSE", "BROADCAST_TO"),
        after=("MUL", "ADD", "SUB", "RESHAPE", "BROADCAST_TO"),
    ),
    LabelSelectionTypes(
        selectors=("ARG_MAX", "TOPK_V2"),
        layers=("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL"),
    ),
    DivisionTypes(
        divisions=("DIV",),
        reciprocals=(),
        multiplications=("MUL",),
        products=("BATCH_MATMUL",),
        layers=("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"),
        views=("RESHAPE", "TRANSPOSE", "SLICE", "STRIDED_SLICE"),
    ),
    DistributionTypes(
        softmaxes=("SOFTMAX",),
        selects=("SELECT_V2", "SELECT"),
        products=("BATCH_MATMUL",),
        views=("RESHAPE", "TRANSPOSE", "SLICE", "STRIDED_SLICE"),
        averages=("MUL", "SUM", "MEAN"),
        joins=("CONCATENATION", "PACK"),
    ),
    ResidualTypes(
        norms=(),
        additions=("ADD",),
        joins=("CONCATENATION",),
        products=("BATCH_MATMUL",),
        views=("RESHAPE",),
    ),
    PreprocessingTypes(arithmetic=("ADD", "SUB", "MUL", "DIV"), views=("RESHAPE", "TRANSPOSE")),
    pads=("PAD", "PADV2"),
)


@dataclass(frozen=True)
class FloatFile:
    """The converted float file, its graph, and the module path of each of its operators."""

    path: Path
    graph: FileGraph
    modules: Sequence[str]


def to_tflite(job: ExportJob) -> Lowered:
    """Writes `model.tflite` in float32, with fp16 weights, dynamic int8, static int8, or several of them."""
    with job.shared.importing("tflite", "exporting to TFLite"):
        import ai_edge_litert.interpreter  # noqa: F401
        import ai_edge_quantizer  # noqa: F401
        import litert_torch  # noqa: F401

    quantization = quantization_of(job.applied_recipe, BACKENDS["tflite"])
    source = job.shared.once("tflite", job.module, lambda: _float_file(job))
    if quantization is None:
        job.path.write_bytes(source.path.read_bytes())
        return _describe(job, None)
    assignment = assign(operators_of(source.graph, source.modules), job.applied_recipe, REGION_TYPES)
    if job.applied_recipe.float_outputs:
        assignment = with_float_outputs(source.graph, assignment)
    if quantization.is_static:
        assignment = with_float_gates(source.graph, _with_float_attention(job, source, assignment))
    settings = _quantize(job, source, quantization, assignment)
    described = _describe(job, settings)  # raises where the runtime refuses the file
    if job.applied_recipe.correct_outputs:
        correct_file(job, SIGNATURE, _by_name(source))
    return dataclasses.replace(described, warnings=assignment.unmatched)


def _with_float_attention(job: ExportJob, source: FloatFile, assignment: Assignment) -> Assignment:
    """Softmaxes stay in float whose values the steps of the int8 kernel would round away."""
    softmaxes = {
        op.outputs[0]: (index, SoftmaxRounding())
        for index, op in enumerate(source.graph.operators)
        if op.type == "SOFTMAX" and assignment.rules[index].format is NumberFormat.STATIC_INT8
    }
    if not softmaxes:
        return assignment
    rounding = {value: found for value, (_, found) in softmaxes.items()}
    _observe(_float_interpreter(source), _samples_by_name(job, source)[:SAMPLES], rounding)
    rules = dict(assignment.rules)
    rules.update({index: RecipeRule(NumberFormat.FLOAT32) for index, found in softmaxes.values() if found.is_lost})
    return dataclasses.replace(assignment, rules=rules)


def _float_file(job: ExportJob) -> FloatFile:
    path = job.shared.scratch / f"float_{id(job.module)}.tflite"
    with job.shared.quietly():
        import litert_torch

        litert_torch.convert(job.module.eval(), job.example_inputs).export(str(path))
    model = _edited(path.read_bytes(), pad_before_transpose, read_operands_by_columns)
    path.write_bytes(model)
    graph = read_graph(model)
    return FloatFile(path, graph, module_paths(graph, job.module))


def _edited(model: bytes, *edits: Callable[[EditableFile], int]) -> bytes:
    """The file with what the converter or the quantizer leaves to improve for the delegate."""
    file = EditableFile(read_tree(model))
    if not sum(edit(file) for edit in edits):
        return model
    file.drop_unread()
    return written(file.tree)


def _quantize(
    job: ExportJob, source: FloatFile, quantization: Quantization, assignment: Assignment
) -> list[dict[str, str]]:
    """Writes the quantized file; returns the quantizer's rules."""
    with job.shared.quietly():
        from ai_edge_quantizer import qtyping, quantizer

        worker = quantizer.Quantizer(bytearray(source.path.read_bytes()))  # given a path it leaves the file open
        _add_format(worker, ".*", quantization.format)
        _add_exceptions(worker, source.graph, quantization.format, assignment)
        if quantization.is_static and not job.integer_io:
            for end in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
                worker.update_quantization_recipe(".*", end, algorithm_key=NO_QUANTIZE)
        ranges, estimators = None, {}
        if quantization.is_static:
            samples = _samples_by_name(job, source)
            estimators = _estimators(job, source, samples, assignment)
            ranges = _ranges(source, worker.get_quantization_recipe(), samples, assignment, estimators)
            if not ranges:  # the recipe leaves every operator that the quantizer knows in float
                job.path.write_bytes(source.path.read_bytes())
                return []
        worker.quantize(ranges).export_model(str(job.path), overwrite=True)
        if quantization.is_static:
            model = job.path.read_bytes()
            inputs = dynamic_inputs(source.graph, assignment)
            clips = {number: estimators[source.graph.tensors[x].name].range() for number, x in inputs.items()}
            clip = functools.partial(clip_inputs, graph=read_graph(model), ranges=clips)
            job.path.write_bytes(_edited(model, clip, drop_implied_activations))
        settings: Any = worker.get_quantization_recipe()
    return [{name: str(value) for name, value in rule.items()} for rule in settings]


def _add_format(worker: Any, pattern: str, format: NumberFormat) -> None:
    """Gives the quantizer a number format for the operators whose output's name matches."""
    from ai_edge_quantizer import qtyping, recipe

    every = qtyping.TFLOperationName.ALL_SUPPORTED
    if format is NumberFormat.FLOAT16_WEIGHTS:
        algorithm = recipe.AlgorithmName.FLOAT_CASTING
        worker.add_weight_only_config(pattern, every, num_bits=16, algorithm_key=algorithm)
    elif format is NumberFormat.DYNAMIC_INT8:
        worker.add_dynamic_config(pattern, every, num_bits=8)
    else:
        worker.add_static_config(pattern, every, activation_num_bits=format.activation_bits, weight_num_bits=8)


def _add_exceptions(worker: Any, graph: FileGraph, format: NumberFormat, assignment: Assignment) -> None:
    """Gives the quantizer the operators that are in float32 or in another format than most; it finds them by their output.

    In another format an operator is in float32 first: where the quantizer has no such kernel, it stays so.
    """
    from ai_edge_quantizer import qtyping

    names: dict[NumberFormat, list[str]] = {}
    for index, op in enumerate(graph.operators):
        rule = assignment.rules[index]
        if rule.format is not format:
            names.setdefault(rule.format, []).extend(re.escape(graph.tensors[value].name) for value in op.outputs)
    if names:  # few patterns: the quantizer searches all of them for every operator and sample
        every = qtyping.TFLOperationName.ALL_SUPPORTED
        others = [name for of_format in names.values() for name in of_format]
        worker.update_quantization_recipe(f"^(?:{'|'.join(others)});?$", every, algorithm_key=NO_QUANTIZE)
    for other, of_format in names.items():
        if other is not NumberFormat.FLOAT32:
            _add_format(worker, f"(?:^(?:{'|'.join(of_format)});?$)", other)


def _ranges(
    source: FloatFile,
    rules: Any,
    samples: Sequence[dict[str, Any]],
    assignment: Assignment,
    estimators: Mapping[str, RangeEstimator],
) -> Any:
    """The range of every tensor over all samples, adjusted to what the delegate takes.

    The quantizer's own `calibrate` averages ranges instead, with a weight of 0.95 on what it has: after a few dozen
    images that is still the range of the first one, and whatever lies outside is clipped.
    """
    from ai_edge_quantizer import calibrator, recipe_manager

    manager = recipe_manager.RecipeManager()
    manager.load_quantization_recipe(rules)
    worker = calibrator.Calibrator(source.path.read_bytes(), num_threads=os.cpu_count() or 1)
    worker.calibrate({SIGNATURE: samples[:1]}, manager)  # which ranges it needs; their ends come from all samples
    ranges = dict(worker.get_model_qsvs())
    for name, estimator in estimators.items():
        if "min" in ranges.get(name, {}):
            found = estimator.range()
            ends = (("min", found.low), ("max", found.high))
            ranges[name] = {**ranges[name], **{end: np.full_like(ranges[name][end], value) for end, value in ends}}
    if NumberFormat.STATIC_INT8 not in {rule.format for rule in assignment.rules.values()}:
        return ranges
    of_products = (source.graph.tensors[value].name for value in symmetric_operands(source.graph))
    estimates = {name: estimators[name].symmetric_range() for name in of_products if name in estimators}
    return adjusted_ranges(source.graph, ranges, estimates, largest_constants(source.path.read_bytes()))


def _estimators(
    job: ExportJob, source: FloatFile, samples: Sequence[dict[str, Any]], assignment: Assignment
) -> dict[str, RangeEstimator]:
    """What was seen of each tensor whose range is fixed, by the tensor's name."""
    operators = operators_of(source.graph, source.modules)
    rules: dict[Any, RecipeRule] = range_rules(operators, assignment)
    interpreter = _float_interpreter(source)
    rules.update({int(tensor["index"]): job.applied_recipe.rules[0] for tensor in interpreter.get_input_details()})
    sizes = {
        index: tensor.shape[-1]
        for index, tensor in enumerate(source.graph.tensors)
        if tensor.shape and index not in source.graph.outputs
    }
    logits, margin = logits_of(operators, sizes), job.applied_recipe.range_margin
    estimators = {
        value: (LogitRangeEstimator if value in logits else RangeEstimator)(
            rule.observer, rule.format.activation_bits, margin
        )
        for value, rule in rules.items()
        if rule.format.is_static and source.graph.tensors[value].dtype == "float32"
    }
    observer = job.applied_recipe.rules[0].observer
    inputs = dynamic_inputs(source.graph, assignment)
    estimators |= {value: RangeEstimator(observer, margin=margin) for value in inputs.values()}
    if estimators:
        _observe(interpreter, samples, estimators)
    return {source.graph.tensors[value].name: estimator for value, estimator in estimators.items()}


def _float_interpreter(source: FloatFile) -> Any:
    """Of the float file; after a run it has all values."""
    from ai_edge_litert.interpreter import Interpreter

    threads = os.cpu_count() or 1
    return Interpreter(str(source.path), experimental_preserve_all_tensors=True, num_threads=threads)


def _observe(interpreter: Any, samples: Iterable[dict[str, Any]], by_value: Mapping[int, Observing]) -> None:
    """Runs the float file; gives each value's observer what the samples make of it."""
    run = interpreter.get_signature_runner(SIGNATURE)
    for sample in samples:
        run(**sample)
        for value, observing in by_value.items():
            observing.update(interpreter.get_tensor(value))


def _samples_by_name(job: ExportJob, source: FloatFile) -> Sequence[dict[str, Any]]:
    """The calibration samples as the file's signature takes them."""
    return Mapped(_by_name(source), job.calibration)


def _by_name(source: FloatFile) -> Callable[[Sample], dict[str, Any]]:
    """Makes of a sample what the file's signature takes."""
    inputs = _signature_inputs(source.path)

    def by_name(sample: Sample) -> dict[str, Any]:
        arrays = zip(inputs, as_contiguous(sample), strict=True)
        return {name: array.astype(dtype, copy=False) for (name, dtype), array in arrays}

    return by_name


def _signature_inputs(path: Path) -> list[tuple[str, Any]]:
    """Name and type of each input; the converter turns int64 into int32."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    details = interpreter.get_signature_runner(SIGNATURE).get_input_details()
    return [(name, details[name]["dtype"]) for name in interpreter.get_signature_list()[SIGNATURE]["inputs"]]


def _describe(job: ExportJob, settings: Any) -> Lowered:
    from ai_edge_litert.interpreter import Interpreter

    graph = read_graph(job.path.read_bytes())
    modules = module_paths(graph, job.module)
    with job.shared.quietly():
        try:
            interpreter = Interpreter(str(job.path))
            interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            index = first_refused(job.path.read_bytes(), len(graph.operators))
            op = graph.operators[index]
            shapes = ", ".join("x".join(map(str, graph.tensors[value].shape)) for value in op.inputs)
            raise FileRefused(f"LiteRT refuses the file: {error}", f"{op.type} of {shapes}", modules[index]) from error
        # the interpreter has no public way to list what its delegates took
        plan = interpreter._get_ops_details()
    quantized = ((tensor["index"], tensor["quantization_parameters"]) for tensor in interpreter.get_tensor_details())
    zero_points = {index: int(values["zero_points"][0]) for index, values in quantized if len(values["scales"]) == 1}
    # of all operators, whether delegated or not: nodes that a delegate replaces stay in the plan
    types = Counter(str(node["op_name"]) for node in plan)
    delegates = types.pop("DELEGATE", 0)
    return Lowered(
        _specs(interpreter.get_input_details(), job.input_names, job.layout),
        _specs(interpreter.get_output_details(), job.output_names, job.layout),
        operator_facts(graph, modules, delegated_operators(graph, plan), zero_points),
        GraphSummary(dict(types.most_common()), delegates=delegates),
        settings,
    )


def _specs(tensors: Sequence[dict[str, Any]], names: Sequence[str], images: str) -> tuple[TensorSpec, ...]:
    specs = []
    for tensor, name in zip(tensors, names, strict=True):
        scale, zero_point = tensor["quantization"]
        shape = tuple(int(side) for side in tensor["shape"])
        layout = images if len(shape) == 4 else ""
        spec = TensorSpec(name, shape, np.dtype(tensor["dtype"]).name, layout)
        if np.issubdtype(tensor["dtype"], np.integer) and scale != 0.0:
            spec = TensorSpec(name, shape, spec.dtype, layout, float(scale), int(zero_point))
        specs.append(spec)
    return tuple(specs)
