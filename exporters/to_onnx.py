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
from collections.abc import Iterator
from typing import Any

from edgedeploy.core.errors import ExportFailed
from edgedeploy.core.recipe import FP32, STATIC_INT8
from edgedeploy.core.spec import TensorSpec

from .float_norms import Kinds, norm_operators
from .job import ExportJob, Lowered, Sample, as_contiguous, example_outputs, tensor_specs
from .label_tail import Operator, label_tail

OPSET = 20
# LayerNormalization is one operator, with a float kernel
NORMS = Kinds(
    roots=("Reciprocal",),
    sums=("ReduceSum", "ReduceMean"),
    squares=("Mul",),
    differences=("Sub",),
    products=("Mul",),
    between=("Sqrt", "Clip", "Add", "Max"),
    views=("Reshape", "Transpose"),
    after=("Mul", "Add", "Sub", "Reshape"),
)


def to_onnx(job: ExportJob) -> Lowered:
    """Writes `model.onnx`, in float32 or static int8."""
    with job.shared.importing("onnx", "exporting to ONNX"):
        import onnx
        import onnxscript  # noqa: F401
        import onnxsim  # noqa: F401

    model = _float_model(job)
    outputs = example_outputs(job)
    specs = (tensor_specs(job.example_inputs, job.input_names), tensor_specs(outputs, job.output_names))
    record = None
    if job.recipe == STATIC_INT8:
        model, record = _quantize(job, model)
        if job.integer_io:
            specs = _integer_io(model, *specs)
    elif job.recipe != FP32:
        raise ExportFailed(f"ONNX has no recipe {job.recipe} here")
    onnx.checker.check_model(model, full_check=True)
    job.path.write_bytes(model.SerializeToString())
    operators = Counter(node.op_type for node in model.graph.node)
    return Lowered(*specs, record, {"opset": OPSET, "operators": dict(operators.most_common())})


def _float_model(job: ExportJob) -> Any:
    """The simplified float model; made once for both recipes."""
    key = ("onnx", id(job.module))
    if key not in job.shared.made:
        import onnxsim
        import torch

        with job.shared.converter("torch.onnx.export"):
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
        with job.shared.converter("onnxsim.simplify"):
            model, same = onnxsim.simplify(program.model_proto)
        if not same:
            raise ExportFailed("onnxsim's own check found that its simplified model computes something else")
        job.shared.made[key] = model.SerializeToString()
    import onnx

    return onnx.load_from_string(job.shared.made[key])


def _quantize(job: ExportJob, model: Any) -> tuple[Any, dict[str, Any]]:
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self, samples: Iterator[Sample]) -> None:
            self.samples = samples

        def get_next(self) -> dict[str, Any] | None:
            sample = next(self.samples, None)
            return None if sample is None else dict(zip(job.input_names, as_contiguous(sample), strict=True))

    tail = float_nodes(model)
    settings: dict[str, Any] = {
        "quant_format": QuantFormat.QDQ,
        "activation_type": QuantType.QUInt8,
        "weight_type": QuantType.QInt8,
        "per_channel": True,
        "nodes_to_exclude": tail,
    }
    source, target = job.shared.scratch / "float.onnx", job.shared.scratch / "int8.onnx"
    source.write_bytes(model.SerializeToString())
    with job.shared.converter("onnxruntime.quantize_static"):
        quantize_static(str(source), str(target), Reader(iter(job.calibration)), **settings)
    record = {name: str(value) for name, value in settings.items() if name != "nodes_to_exclude"}
    return onnx.load(str(target)), {**record, "calibrate_method": "MinMax", "float_nodes": tail}


def float_nodes(model: Any) -> list[str]:
    """Names of the nodes that make norms or pick labels and stay in float."""
    graph = [Operator(n.name, n.op_type, tuple(n.input), tuple(n.output)) for n in model.graph.node]
    tail = label_tail(graph, pickers=("ArgMax", "TopK"), layers=("Conv", "Gemm", "MatMul"))
    return [str(key) for key in dict.fromkeys([*tail, *norm_operators(graph, NORMS)])]


def _integer_io(
    model: Any, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Takes the first QuantizeLinear and the last DequantizeLinear off, in place: the graph's ends become int8."""
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
