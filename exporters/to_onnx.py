"""ONNX, for ONNX Runtime.

    capture -> torch.onnx (dynamo) -> onnxsim -> checker  [-> static QDQ int8, one scale per output channel]

Opset 20: the first with Gelu as one operator. The quantized file carries QuantizeLinear and DequantizeLinear pairs
(QDQ); ONNX Runtime fuses them into integer kernels when it loads the file. Activations are uint8: with int8 ones ONNX
Runtime's x86 kernels take twice as long, and slower than float is what users report. On Arm the two differ little:
TopFormer-tiny at 128x128 takes 14.0 (uint8) and 12.9 (int8) million instructions for a Cortex-A76, 20.5 and 21.0 for a
Cortex-A53 (`bench --device qemu:cortex-a76`, ONNX Runtime 1.31.1).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgedeploy.core.backends import BACKENDS
from edgedeploy.core.errors import ExportFailed
from edgedeploy.core.provenance import GraphSummary
from edgedeploy.core.recipe import Observer
from edgedeploy.core.spec import TensorSpec

from .job import ExportJob, Lowered, Sample, as_contiguous, example_outputs, tensor_specs
from .onnx_operators import exported_paths, node_paths, operator_facts, operators_of
from .recipes import Quantization, float_operators, quantization_of
from .regions import LabelSelectionTypes, NormalizationTypes, RegionTypes

OPSET = 20
OBSERVERS = {Observer.MIN_MAX: "MinMax"}  # names of onnxruntime.quantization.CalibrationMethod
# LayerNormalization is one operator, with a float kernel
REGION_TYPES = RegionTypes(
    NormalizationTypes(
        roots=("Reciprocal",),
        sums=("ReduceSum", "ReduceMean"),
        squares=("Mul",),
        differences=("Sub",),
        products=("Mul",),
        between=("Sqrt", "Clip", "Add", "Max"),
        views=("Reshape", "Transpose"),
        after=("Mul", "Add", "Sub", "Reshape"),
    ),
    LabelSelectionTypes(selectors=("ArgMax", "TopK"), layers=("Conv", "Gemm", "MatMul")),
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


def to_onnx(job: ExportJob) -> Lowered:
    """Writes `model.onnx`, in float32 or static int8."""
    with job.shared.importing("onnx", "exporting to ONNX"):
        import onnx
        import onnxscript  # noqa: F401
        import onnxsim  # noqa: F401

    quantization = quantization_of(job.recipe, BACKENDS["onnx"], OBSERVERS)
    source = job.shared.once("onnx", job.module, lambda: _float_model(job))
    model = onnx.load_from_string(source.content)
    inputs = tensor_specs(job.example_inputs, job.input_names)
    outputs = tensor_specs(example_outputs(job), job.output_names)
    settings = None
    if quantization is not None:
        model, settings = _quantize(job, model, source.modules, quantization)
        if job.integer_io:
            inputs, outputs = _integer_io(model, inputs, outputs)
    onnx.checker.check_model(model, full_check=True)
    job.path.write_bytes(model.SerializeToString())
    types = Counter(node.op_type for node in model.graph.node)
    summary = GraphSummary(dict(types.most_common()), opset=OPSET)
    return Lowered(inputs, outputs, operator_facts(model, source.modules), summary, settings)


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
    with job.shared.quietly():
        model, same = onnxsim.simplify(exported)
    if not same:
        raise ExportFailed("onnxsim's own check found that its simplified model computes something else")
    return FloatModel(model.SerializeToString(), node_paths(model, exported_paths(exported)))


def _quantize(
    job: ExportJob, model: Any, modules: Mapping[str, str], quantization: Quantization
) -> tuple[Any, dict[str, Any]]:
    """The quantized model, and the quantizer's settings."""
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):
        def __init__(self, samples: Iterator[Sample]) -> None:
            self.samples = samples

        def get_next(self) -> dict[str, Any] | None:
            sample = next(self.samples, None)
            return None if sample is None else dict(zip(job.input_names, as_contiguous(sample), strict=True))

    settings: dict[str, Any] = {
        "quant_format": QuantFormat.QDQ,
        "activation_type": QuantType.QUInt8,
        "weight_type": QuantType.QInt8,
        "per_channel": True,
    }
    method = OBSERVERS[quantization.observer]
    in_float = [str(key) for key in float_operators(operators_of(model, modules), job.recipe, REGION_TYPES)]
    source, target = job.shared.scratch / "float.onnx", job.shared.scratch / "int8.onnx"
    source.write_bytes(model.SerializeToString())
    with job.shared.quietly():
        quantize_static(
            str(source),
            str(target),
            Reader(iter(job.calibration)),
            **settings,
            calibrate_method=CalibrationMethod[method],
            nodes_to_exclude=in_float,
        )
    record = {name: str(value) for name, value in settings.items()}
    return onnx.load(str(target)), {**record, "calibrate_method": method, "float_nodes": in_float}


def _integer_io(
    model: Any, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Removes the first QuantizeLinear and the last DequantizeLinear, in place: inputs and outputs become integers."""
    import onnx

    constants = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}

    def becomes_int8(value: Any, spec: TensorSpec, node: Any) -> TensorSpec:
        scale, zero_point = constants[node.input[1]], constants[node.input[2]]
        value.type.tensor_type.elem_type = onnx.helper.np_dtype_to_tensor_dtype(zero_point.dtype)
        return TensorSpec(spec.name, spec.shape, zero_point.dtype.name, spec.layout, float(scale), int(zero_point))

    def rename(old: str, new: str) -> None:
        for node in model.graph.node:
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    if name == old:
                        names[index] = new

    new_inputs, new_outputs = list(inputs), list(outputs)
    for index, value in enumerate(model.graph.input):
        users = [node for node in model.graph.node if value.name in node.input]
        if len(users) == 1 and users[0].op_type == "QuantizeLinear":
            new_inputs[index] = becomes_int8(value, inputs[index], users[0])
            model.graph.node.remove(users[0])
            rename(users[0].output[0], value.name)
    for index, value in enumerate(model.graph.output):
        made = next((node for node in model.graph.node if value.name in node.output), None)
        if made is not None and made.op_type == "DequantizeLinear":
            new_outputs[index] = becomes_int8(value, outputs[index], made)
            model.graph.node.remove(made)
            rename(made.input[0], value.name)
    return tuple(new_inputs), tuple(new_outputs)
