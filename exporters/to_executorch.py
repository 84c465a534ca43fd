"""ExecuTorch, with XNNPACK.

    float:  torch.export -> to_edge_transform_and_lower(XnnpackPartitioner) -> .pte
    int8:   prepare_pt2e -> calibrate -> convert_pt2e -> the same

Activations are observed by their minimum and maximum. XNNPACK's quantizer brings histogram observers; on these networks
they cost seconds per calibration image (they run once per operator on the whole map) for the same SQNR.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

from edgedeploy.core.errors import ExportFailed
from edgedeploy.core.recipe import FP32, STATIC_INT8
from edgedeploy.core.spec import TensorSpec

from .float_norms import Kinds, norm_operators
from .job import ExportJob, Lowered, example_outputs, tensor_specs
from .label_tail import Operator, label_tail

# layer_norm is one operator, which the quantizer leaves alone
NORMS = Kinds(
    roots=("aten.rsqrt.default",),
    sums=("aten.sum.dim_IntList", "aten.mean.dim"),
    squares=("aten.mul.Tensor",),
    differences=("aten.sub.Tensor",),
    products=("aten.mul.Tensor",),
    between=("aten.clamp_min.default", "aten.add.Tensor"),
    views=("aten.reshape.default", "aten.permute.default", "aten.transpose.int"),
    after=("aten.mul.Tensor", "aten.add.Tensor", "aten.sub.Tensor", "aten.reshape.default"),
)


def to_executorch(job: ExportJob) -> Lowered:
    """Writes `model.pte`, in float32 or static int8."""
    import torch

    with job.shared.importing("executorch", "exporting to ExecuTorch"):
        import executorch.exir
        import torchao  # noqa: F401

    module: Any = job.module
    record = None
    if job.recipe == STATIC_INT8:
        module, record = _quantize(job)
    elif job.recipe != FP32:
        raise ExportFailed(f"ExecuTorch has no recipe {job.recipe} here")

    examples = job.example_inputs
    if job.recipe == STATIC_INT8 and job.integer_io:
        module, examples, inputs, outputs = _integer_io(module, job)
    else:
        inputs = tensor_specs(job.example_inputs, job.input_names)
        outputs = tensor_specs(example_outputs(job), job.output_names)
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner

    with job.shared.converter("executorch.to_edge_transform_and_lower"):
        program = torch.export.export(module, examples, strict=False)
        edge = executorch.exir.to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    with job.shared.converter("executorch.to_executorch"):
        lowered = edge.to_executorch()
    job.path.write_bytes(lowered.buffer)
    operators = Counter(
        str(getattr(node.target, "__name__", node.target))
        for node in edge.exported_program().graph.nodes
        if node.op == "call_function"
    )
    operators.pop("getitem", None)
    facts = {"delegates": operators.pop("executorch_call_delegate", 0), "operators": dict(operators.most_common())}
    return Lowered(inputs, outputs, record, facts)


def _quantize(job: ExportJob) -> tuple[Any, dict[str, Any]]:
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e import MinMaxObserver
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    config = get_symmetric_quantization_config(is_per_channel=True)
    observer = MinMaxObserver.with_args(eps=2**-12)
    activation = {
        side: dataclasses.replace(getattr(config, side), observer_or_fake_quant_ctr=observer)
        for side in ("input_activation", "output_activation")
    }
    quantizer = XNNPACKQuantizer().set_global(dataclasses.replace(config, **activation))
    with job.shared.converter("torchao.prepare_pt2e"):
        program = torch.export.export(job.module, job.example_inputs, strict=False)
        captured = program.module(check_guards=False)
        in_float = float_nodes(captured)
        quantizer.set_filter_function(lambda node: node.name not in in_float)
        prepared = prepare_pt2e(captured, quantizer)
    with job.shared.converter("torchao.calibrate"), torch.no_grad():
        for sample in job.calibration:
            prepared(*(torch.from_numpy(array) for array in sample))
    with job.shared.converter("torchao.convert_pt2e"):
        converted = convert_pt2e(prepared)
    return converted, {"quantizer": "XNNPACKQuantizer", "per_channel": True, "observer": "MinMaxObserver"}


def float_nodes(program: Any) -> set[str]:
    """Names of the nodes that make norms or pick labels and stay in float."""
    graph = [
        Operator(node.name, str(node.target), tuple(n.name for n in node.all_input_nodes), (node.name,))
        for node in program.graph.nodes
        if node.op == "call_function"
    ]
    layers = ("aten.conv2d.default", "aten.linear.default", "aten.matmul.default")
    tail = label_tail(graph, pickers=("aten.argmax.default", "aten.topk.default"), layers=layers)
    return {str(key) for key in (*tail, *norm_operators(graph, NORMS))}


def _integer_io(
    module: Any, job: ExportJob
) -> tuple[Any, tuple[Any, ...], tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Takes the first quantize and the last dequantize off a converted module; returns it with int8 example inputs."""
    import torch

    quantized = torch.ops.quantized_decomposed
    inputs = list(tensor_specs(job.example_inputs, job.input_names))
    outputs = list(tensor_specs(example_outputs(job), job.output_names))
    examples = list(job.example_inputs)
    nodes = list(module.graph.nodes)
    for index, node in enumerate([n for n in nodes if n.op == "placeholder"]):
        users = list(node.users)
        settings = {user.args[1:] for user in users if user.target == quantized.quantize_per_tensor.default}
        if len(settings) == 1 and all(user.target == quantized.quantize_per_tensor.default for user in users):
            (scale, zero_point, *_), *_ = settings
            for user in users:
                user.replace_all_uses_with(node)
                module.graph.erase_node(user)
            inputs[index] = dataclasses.replace(inputs[index], dtype="int8", scale=scale, zero_point=zero_point)
            examples[index] = torch.zeros(inputs[index].shape, dtype=torch.int8)
    (results,) = nodes[-1].args
    results = list(results) if isinstance(results, list | tuple) else [results]
    for index, result in enumerate(results):
        if result.target == quantized.dequantize_per_tensor.default:
            value, scale, zero_point, *_ = result.args
            results[index] = value
            outputs[index] = dataclasses.replace(outputs[index], dtype="int8", scale=scale, zero_point=zero_point)
    nodes[-1].args = (tuple(results),)
    module.graph.eliminate_dead_code()
    module.recompile()
    return module, tuple(examples), tuple(inputs), tuple(outputs)
