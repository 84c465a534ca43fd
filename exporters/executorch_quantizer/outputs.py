"""Float logits in ExecuTorch's int8 files.

The layer that gives them quantizes its input in each run, by the range that it has then: the delegate has a kernel for int8
weights and such an input, whose results are float. The layer is linear: ExecuTorch's passes fail at a convolution whose
input is quantized like that. See `operators/output_layers.py` for why it is clipped first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from operator import attrgetter
from typing import Any

from edgedeploy.core.recipe import QuantRecipe
from edgedeploy.exporters.executorch_operators import operators_of
from edgedeploy.exporters.operators.output_layers import OutputLayer, output_layers
from edgedeploy.exporters.ranges import RangeEstimator

from .annotations import annotation_of, gives_int8, reads_int8

LINEAR, CONVOLUTION = "aten.linear.default", "aten.conv2d.default"
VIEWS = ("aten.reshape.default", "aten.view.default", "aten.flatten.using_ints", "aten.squeeze.dims")


def linear_outputs(captured: Any, in_float: Collection[str]) -> None:
    """Makes pointwise convolutions of one pixel that give a network's output linear layers.

    Args:
        captured: a captured network, which is changed.
        in_float: names of the operators that are not quantized.
    """
    nodes = {node.name: node for node in captured.graph.nodes}
    for found in found_output_layers(captured):
        layer = nodes[str(found.layer)]
        if str(layer.target) == CONVOLUTION and layer.name not in in_float and _is_pointwise(layer):
            _make_linear(captured, layer, nodes[str(found.views[0])])
    captured.graph.eliminate_dead_code()
    captured.recompile()


def annotate_float_outputs(model: Any, dynamic: Any) -> None:
    """Makes the annotated linear layers dynamic that give a network's output.

    Args:
        model: a captured network that XNNPACKQuantizer has annotated.
        dynamic: the quantizer's configuration for such layers.
    """
    from torchao.quantization.pt2e.quantizer import get_input_act_qspec
    from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

    nodes = {node.name: node for node in model.graph.nodes}
    for found in found_output_layers(model):
        layer = nodes[str(found.layer)]
        if str(layer.target) != LINEAR or not gives_int8(layer):
            continue
        annotation = annotation_of(layer)
        annotation.input_qspec_map[layer.args[0]] = get_input_act_qspec(dynamic)
        annotation.output_qspec = None
        for node in (*(nodes[str(name)] for name in found.views), *_before(layer)):
            node.meta.pop(Q_ANNOTATION_KEY, None)


def observe_inputs(prepared: Any, recipe: QuantRecipe) -> tuple[dict[str, RangeEstimator], list[Any]]:
    """Reads the inputs of the layers that `annotate_float_outputs` made dynamic.

    Args:
        prepared: a network with observers, which is calibrated next.
        recipe: says how their ranges are taken.

    Returns the estimator of each layer's input, by the layer's name, and the hooks to remove after calibration.
    """
    nodes = {node.name: node for node in prepared.graph.nodes}
    estimators, hooks = {}, []
    for found in found_output_layers(prepared):
        source = nodes[str(found.layer)].args[0]
        if source.op != "call_module":
            continue
        module = prepared.get_submodule(source.target)
        if getattr(module, "is_dynamic", False):
            estimator = estimators[str(found.layer)] = RangeEstimator(
                recipe.rules[0].observer, margin=recipe.range_margin
            )
            hooks.append(module.register_forward_pre_hook(lambda _, args, e=estimator: e.update(args[0].numpy())))
    return estimators, hooks


def clip_inputs(converted: Any, estimators: Mapping[str, RangeEstimator]) -> None:
    """Clips the inputs of dynamic layers to their ranges, before they are quantized."""
    import torch

    graph = converted.graph
    nodes = {node.name: node for node in graph.nodes}
    for name, estimator in estimators.items():
        quantize = nodes[name].args[0].args[0]
        source, found = quantize.args[0], estimator.range()
        scale_of_run = quantize.args[1].args[0]
        with graph.inserting_after(source):
            clipped = graph.call_function(torch.ops.aten.clamp.default, (source, found.low, found.high))
        clipped.meta = dict(source.meta)
        for reader in (scale_of_run, quantize):
            reader.replace_input_with(source, clipped)
    converted.recompile()


def _before(layer: Any) -> Iterator[Any]:
    """The views before an output layer and the operator that computes what they show: nothing else needs it in int8.

    An activation that is part of a layer stays: the int8 result is that of both.
    """
    node = layer.args[0]
    while node.op == "call_function" and len(node.users) == 1 and str(node.target) not in (LINEAR, CONVOLUTION):
        if annotation_of(node) is not None and not reads_int8(node):
            return
        yield node
        if str(node.target) not in VIEWS:
            return
        node = node.args[0]


def found_output_layers(model: Any) -> list[OutputLayer]:
    """The layers that give the outputs of a captured network; none for an output whose shape the graph does not tell."""
    import torch

    values = {node.name: node.meta["val"] for node in model.graph.nodes if "val" in node.meta}
    results = torch.utils._pytree.tree_leaves(next(reversed(model.graph.nodes)).args)
    outputs = [getattr(result, "name", None) for result in results]  # a network may give a constant
    return output_layers(
        operators_of(model.graph),
        outputs,
        lambda name: values[name].shape if name in values else (),
        (LINEAR, CONVOLUTION),
        VIEWS,
    )


def _is_pointwise(layer: Any) -> bool:
    x, weight, *_ = layer.all_input_nodes
    one_pixel = tuple(x.meta["val"].shape[2:]) == tuple(layer.meta["val"].shape[2:]) == (1, 1)
    return (
        weight.op == "get_attr"
        and one_pixel
        and tuple(weight.meta["val"].shape[1:]) == (*x.meta["val"].shape[1:2], 1, 1)
    )


def _make_linear(captured: Any, layer: Any, output: Any) -> None:
    import torch

    x, weight = layer.args[:2]
    bias = layer.args[2] if len(layer.args) > 2 else None
    graph, matrix = captured.graph, f"{layer.name}_matrix"
    captured.register_buffer(matrix, attrgetter(weight.target)(captured).detach().flatten(1))
    with graph.inserting_before(output):
        made = [
            graph.call_function(torch.ops.aten.flatten.using_ints, (x, 1)),
            graph.get_attr(matrix),
        ]
        made.append(graph.call_function(torch.ops.aten.linear.default, (*made, bias)))
    values = (x.meta["val"].flatten(1), weight.meta["val"].flatten(1), output.meta["val"])
    for node, value in zip(made, values, strict=True):
        node.meta = {**layer.meta, "val": value}
    output.replace_all_uses_with(made[-1])
