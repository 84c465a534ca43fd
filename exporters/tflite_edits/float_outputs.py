"""Float outputs of static int8 files for LiteRT: the layers that give them, as operators/output_layers.py describes."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgedeploy.core.recipe import NumberFormat, RecipeRule
from edgedeploy.exporters.job import ExportJob, Sample
from edgedeploy.exporters.operators.output_correction import correct_outputs
from edgedeploy.exporters.operators.output_layers import OutputLayer, operators_before, output_layers
from edgedeploy.exporters.ranges import Range
from edgedeploy.exporters.recipes import Assignment
from edgedeploy.exporters.tflite_file import FileGraph, read_graph, read_tree, written
from edgedeploy.exporters.tflite_operators import operators_of

from .corrected_outputs import correct, layers_of_outputs
from .editable_file import EditableFile

LAYERS, VIEWS = ("FULLY_CONNECTED", "CONV_2D"), ("RESHAPE",)
IN_FLOAT = ("MEAN", "AVERAGE_POOL_2D", "HARD_SWISH", "GELU")  # before these layers, of a vector or giving one


def with_float_outputs(graph: FileGraph, assignment: Assignment) -> Assignment:
    """Layers in static int8 that give the network's output quantize their input in each run, and give float numbers.

    Args:
        graph: of the float file.
    """
    rules = dict(assignment.rules)
    layers = [one for one in _output_layers(graph) if rules[one.layer].format is NumberFormat.STATIC_INT8]
    before = operators_before(operators_of(graph, [""] * len(graph.operators)), layers, IN_FLOAT, VIEWS)
    rules.update({one.layer: RecipeRule(NumberFormat.DYNAMIC_INT8) for one in layers})
    in_float = [*before, *(view for one in layers for view in one.views)]
    rules.update(dict.fromkeys(in_float, RecipeRule(NumberFormat.FLOAT32)))
    return dataclasses.replace(assignment, rules=rules)


def dynamic_inputs(graph: FileGraph, assignment: Assignment) -> dict[int, int]:
    """The value that the layer of an output reads, for those that quantize it in each run, by the output's number.

    Args:
        graph: of the float file.
    """
    return {
        one.output: graph.operators[int(str(one.layer))].inputs[0]
        for one in _output_layers(graph)
        if assignment.rules[one.layer].format is NumberFormat.DYNAMIC_INT8
    }


def clip_inputs(file: EditableFile, graph: FileGraph, ranges: Mapping[int, Range]) -> int:
    """Clips what the layers of outputs read, in a quantized file; returns how many.

    Args:
        graph: of the file, which has no other operators yet.
        ranges: by the output's number; other layers stay as they are.
    """
    layers = {one.output: file.graph.operators[int(str(one.layer))] for one in _output_layers(graph)}
    clipped = ranges.keys() & layers.keys()
    for number in clipped:
        _clip_input(file, layers[number], ranges[number])
    return len(clipped)


def correct_file(job: ExportJob, signature: str, by_name: Callable[[Sample], dict[str, Any]]) -> None:
    """Corrects the float outputs of the job's file by what they are off by on calibration samples.

    Args:
        signature: the file's.
        by_name: makes of a sample what the signature takes.
    """
    from ai_edge_litert.interpreter import Interpreter

    model = job.path.read_bytes()
    file = EditableFile(read_tree(model))
    layers = layers_of_outputs(file, read_graph(model))
    if not layers:
        return
    interpreter = Interpreter(str(job.path), num_threads=os.cpu_count() or 1)
    runner = interpreter.get_signature_runner(signature)

    def run(sample: Sample) -> list[Any]:
        runner(**by_name(sample))
        return [interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()]

    if correct_outputs(job, layers, run, functools.partial(correct, file)):
        job.path.write_bytes(written(file.tree))


def _clip_input(file: EditableFile, layer: Any, range: Range) -> None:
    source, *others = (int(value) for value in layer.inputs)
    raised = file.add_with_number("MAXIMUM", source, range.low, layer)
    clipped = file.add_with_number("MINIMUM", raised, range.high, layer)
    layer.inputs = np.array([clipped, *others], np.int32)


def _output_layers(graph: FileGraph) -> list[OutputLayer]:
    operators = operators_of(graph, [""] * len(graph.operators))
    return output_layers(operators, graph.outputs, lambda value: graph.tensors[value].shape, LAYERS, VIEWS)
