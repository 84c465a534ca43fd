"""ExecuTorch, with XNNPACK.

    float:  torch.export -> to_edge_transform_and_lower(XnnpackPartitioner) -> .pte
    int8:   prepare_pt2e -> calibrate -> convert_pt2e -> the same

Activations are observed as the recipe says (ranges.py). XNNPACK's quantizer brings histogram observers; on these networks
they cost seconds per calibration image (they run once per operator on the whole map) for the same SQNR.

Rules of a recipe match the operators of the captured network, such as "aten.conv2d.default"; the lowered program has other
ones for some of them ("aten.convolution.default").
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

from edgedeploy.core.backends import BACKENDS
from edgedeploy.core.recipe import Observer, QuantRecipe
from edgedeploy.core.spec import TensorSpec

from .aten_regions import REGION_TYPES
from .executorch_operators import graph_summary, operator_facts, operators_of
from .executorch_quantizer import quantizer
from .executorch_quantizer.concatenations import join_operands, join_similar_ranges, separate_operands
from .executorch_quantizer.corrected_outputs import correct, layers_of_outputs
from .executorch_quantizer.observers import observer_of_values
from .executorch_quantizer.outputs import clip_inputs, linear_outputs, observe_inputs
from .executorch_quantizer.partitioner import partitioner
from .executorch_quantizer.scale_limits import keep_limits
from .job import ExportJob, Lowered, Sample, example_outputs, tensor_specs
from .operators.output_correction import correct_outputs
from .process.executorch_passes import tracing_only_changes
from .ranges import RangeEstimator
from .recipes import Assignment, assign, quantization_of


def to_executorch(job: ExportJob) -> Lowered:
    """Writes `model.pte`, in float32 or static int8."""
    with job.shared.importing("executorch", "exporting to ExecuTorch"):
        import executorch.exir  # noqa: F401
        import torchao  # noqa: F401

    quantization = quantization_of(job.applied_recipe, BACKENDS["executorch"])
    module, settings, warnings = (job.module, None, ()) if quantization is None else _quantize(job)
    examples = job.example_inputs
    if quantization is not None and job.integer_io:
        module, examples, inputs, outputs = _integer_io(module, job)
    else:
        inputs = tensor_specs(job.example_inputs, job.input_names)
        outputs = tensor_specs(example_outputs(job), job.output_names)
    lowered = _lower(job, module, examples)
    return Lowered(inputs, outputs, operator_facts(lowered), graph_summary(lowered.graph), settings, warnings=warnings)


def quantized_network(job: ExportJob) -> Any:
    """The network between quantize and dequantize operators, as it is lowered: torch runs it with the file's ranges."""
    return _quantize(job)[0]


def _lower(job: ExportJob, module: Any, examples: tuple[Any, ...]) -> Any:
    """Writes the file; returns the GraphModule that is in it."""
    import executorch.exir
    import torch

    with job.shared.quietly():
        program = torch.export.export(module, examples, strict=False)
        with tracing_only_changes():
            edge = executorch.exir.to_edge_transform_and_lower(program, partitioner=[partitioner()])
    with job.shared.quietly():
        job.path.write_bytes(edge.to_executorch().buffer)
    return edge.exported_program().graph_module


def _quantize(job: ExportJob) -> tuple[Any, dict[str, Any], tuple[str, ...]]:
    """The converted module, the quantizer's settings, and the rules that are about no operator."""
    import torch
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    float_outputs = job.applied_recipe.float_outputs
    annotator = quantizer(float_outputs=float_outputs)
    with job.shared.quietly():
        program = torch.export.export(job.module, job.example_inputs, strict=False)
        captured = program.module(check_guards=False)
        assignment = assign(operators_of(captured.graph), job.applied_recipe, REGION_TYPES)
        in_float = {str(key) for key in assignment.in_float}
        annotator.set_filter_function(lambda node: node.name not in in_float)
        separate_operands(captured)
        if float_outputs:
            linear_outputs(captured, in_float)
        prepared = prepare_pt2e(captured, annotator)
        estimating = _set_observers(prepared, assignment, job.applied_recipe)
        inputs_of_outputs, hooks = observe_inputs(prepared, job.applied_recipe)
    with job.shared.quietly(), torch.no_grad():
        for sample in job.calibration:
            prepared(*(torch.tensor(array) for array in sample))
        for estimator in estimating:
            estimator.settle()
        for hook in hooks:
            hook.remove()
        join_similar_ranges(prepared)
        keep_limits(prepared)
    with job.shared.quietly():
        converted = convert_pt2e(prepared)
    join_operands(converted)
    clip_inputs(converted, inputs_of_outputs)
    settings = {"quantizer": "XNNPACKQuantizer", "per_channel": True}
    if job.applied_recipe.correct_outputs:
        settings["corrected_outputs"] = _correct_outputs(job, converted)
    return converted, settings, assignment.unmatched


def _correct_outputs(job: ExportJob, converted: Any) -> int:
    """Corrects float outputs, in place, by what they are off by on calibration samples; returns how many."""
    import torch

    def run(sample: Sample) -> list[Any]:
        with torch.no_grad():
            outputs = converted(*(torch.tensor(array) for array in sample))
        return [tensor.numpy() for tensor in torch.utils._pytree.tree_leaves(outputs)]

    return correct_outputs(job, layers_of_outputs(converted), run, functools.partial(correct, converted))


def _set_observers(prepared: Any, assignment: Assignment, recipe: QuantRecipe) -> list[Any]:
    """Puts an estimator of ranges.py where the recipe asks for one, and returns these observers, which settle in the end.

    A shared observer follows the first of its values.
    """
    from torchao.quantization.pt2e import MinMaxObserver

    class RangeObserver(MinMaxObserver):
        """Asks an estimator for the minimum and maximum that the scale is computed from."""

        estimator: RangeEstimator

        def forward(self, values: Any) -> Any:
            self.estimator.update(values.detach().numpy())
            return values

        def settle(self) -> None:
            found = self.estimator.range()
            self.min_val.fill_(found.low)
            self.max_val.fill_(found.high)
            self.__class__ = MinMaxObserver

    estimating = []
    for node in prepared.graph.nodes:
        observer = observer_of_values(prepared, node)
        if observer is None:
            continue
        rule = assignment.rules.get(node.args[0].name)
        wanted = (recipe.rules[0] if rule is None else rule).observer
        if wanted is not Observer.MIN_MAX or recipe.range_margin:
            observer.__class__ = RangeObserver
            observer.estimator = RangeEstimator(wanted, margin=recipe.range_margin)
            estimating.append(observer)
    return estimating


def _integer_io(
    module: Any, job: ExportJob
) -> tuple[Any, tuple[Any, ...], tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Removes the first quantize and the last dequantize of a converted module.

    Returns the module, int8 example inputs, and the specs of inputs and outputs.
    """
    import torch

    inputs = _integer_inputs(module.graph, tensor_specs(job.example_inputs, job.input_names))
    outputs = _integer_outputs(module.graph, tensor_specs(example_outputs(job), job.output_names))
    examples = tuple(
        torch.zeros(spec.shape, dtype=torch.int8) if spec.scale is not None else example
        for spec, example in zip(inputs, job.example_inputs, strict=True)
    )
    module.graph.eliminate_dead_code()
    module.recompile()
    return module, examples, inputs, outputs


def _integer_inputs(graph: Any, specs: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    """Removes the quantize of each input that is read through one scale only."""
    import torch

    quantize = torch.ops.quantized_decomposed.quantize_per_tensor.default
    found = list(specs)
    for index, node in enumerate([n for n in graph.nodes if n.op == "placeholder"]):
        users = list(node.users)
        settings = {user.args[1:] for user in users if user.target == quantize}
        if len(settings) == 1 and all(user.target == quantize for user in users):
            (scale, zero_point, *_), *_ = settings
            for user in users:
                user.replace_all_uses_with(node)
                graph.erase_node(user)
            found[index] = dataclasses.replace(found[index], dtype="int8", scale=scale, zero_point=zero_point)
    return tuple(found)


def _integer_outputs(graph: Any, specs: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    """Returns what the last dequantize of each output reads, instead of what it writes."""
    import torch

    dequantize = torch.ops.quantized_decomposed.dequantize_per_tensor.default
    found = list(specs)
    output = next(iter(reversed(graph.nodes)))
    (results,) = output.args
    results = list(results) if isinstance(results, list | tuple) else [results]
    for index, result in enumerate(results):
        if result.target == dequantize:
            value, scale, zero_point, *_ = result.args
            results[index] = value
            found[index] = dataclasses.replace(found[index], dtype="int8", scale=scale, zero_point=zero_point)
    output.args = (tuple(results),)
    return tuple(found)
