"""TFLite, for LiteRT.

    litert_torch.convert -> .tflite in float  [-> ai-edge-quantizer: fp16 weights, dynamic int8, static int8]

The float file is made once and every quantized one starts from it. Inputs and outputs keep torch's layout (NCHW); the
converter moves to NHWC inside.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from edgedeploy.core.errors import ExportFailed
from edgedeploy.core.recipe import DYNAMIC_INT8, FP32, STATIC_INT8, WEIGHT_ONLY_FP16
from edgedeploy.core.spec import TensorSpec

from .float_norms import Kinds, norm_operators
from .job import ExportJob, Lowered, as_contiguous
from .label_tail import Operator, label_tail

SIGNATURE = "serving_default"
NO_QUANTIZE = "no_quantize"
NORMS = Kinds(
    roots=("RSQRT",),
    sums=("MEAN", "SUM"),
    squares=("MUL", "SQUARED_DIFFERENCE"),
    differences=("SUB",),
    products=("MUL",),
    between=("ADD", "MAXIMUM"),
    views=("RESHAPE", "TRANSPOSE"),
    after=("MUL", "ADD", "SUB", "RESHAPE"),
)


def to_tflite(job: ExportJob) -> Lowered:
    """Writes `model.tflite` in float32, with fp16 weights, dynamic int8 or static int8."""
    with job.shared.importing("tflite", "exporting to TFLite"):
        import ai_edge_litert.interpreter  # noqa: F401
        import ai_edge_quantizer  # noqa: F401
        import litert_torch  # noqa: F401

    source = _float_model(job)
    record = None
    if job.recipe == FP32:
        job.path.write_bytes(source.read_bytes())
    elif job.recipe in (WEIGHT_ONLY_FP16, DYNAMIC_INT8, STATIC_INT8):
        record = _quantize(job, source)
    else:
        raise ExportFailed(f"TFLite has no recipe {job.recipe} here")
    return _describe(job, record)


def _float_model(job: ExportJob) -> Path:
    """The float file; made once for all recipes."""
    key = ("tflite", id(job.module))
    if key not in job.shared.made:
        path = job.shared.scratch / "float.tflite"
        with job.shared.converter("litert_torch.convert"):
            import litert_torch

            litert_torch.convert(job.module.eval(), job.example_inputs).export(str(path))
        job.shared.made[key] = path
    path = job.shared.made[key]
    assert isinstance(path, Path)
    return path


def _quantize(job: ExportJob, source: Path) -> Any:
    with job.shared.converter("ai_edge_quantizer"):
        from ai_edge_quantizer import qtyping, quantizer, recipe

        every, algorithm = qtyping.TFLOperationName.ALL_SUPPORTED, recipe.AlgorithmName
        worker = quantizer.Quantizer(str(source))
        calibrated = None
        if job.recipe == WEIGHT_ONLY_FP16:
            worker.add_weight_only_config(".*", every, num_bits=16, algorithm_key=algorithm.FLOAT_CASTING)
        elif job.recipe == DYNAMIC_INT8:
            worker.load_quantization_recipe(recipe.dynamic_wi8_afp32())
        else:
            worker.load_quantization_recipe(recipe.static_wi8_ai8())
            for pattern in [f"^{re.escape(name)};?$" for name in float_tensors(source)]:
                worker.update_quantization_recipe(pattern, every, algorithm_key=NO_QUANTIZE)
            if not job.integer_io:
                for end in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
                    worker.update_quantization_recipe(".*", end, algorithm_key=NO_QUANTIZE)
            inputs = _signature_inputs(source)
            samples = [dict(zip(inputs, as_contiguous(sample), strict=True)) for sample in job.calibration]
            calibrated = _ranges(worker, source, samples)
        worker.quantize(calibrated).export_model(str(job.path), overwrite=True)
        settings: Any = worker.get_quantization_recipe()
    return [{name: str(value) for name, value in rule.items()} for rule in settings]


def _ranges(worker: Any, source: Path, samples: list[dict[str, Any]]) -> Any:
    """The smallest and largest value of every tensor over all samples.

    The quantizer's own `calibrate` averages ranges instead, with a weight of 0.95 on what it has: after a few dozen
    images that is still the range of the first one, and whatever lies outside is clipped.
    """
    from ai_edge_quantizer import calibrator
    from ai_edge_quantizer.utils import qsv_utils

    observer = calibrator.Calibrator(
        source.read_bytes(), num_threads=os.cpu_count() or 1, qsv_update_func=qsv_utils.min_max_update
    )
    observer.calibrate({SIGNATURE: samples}, worker._recipe_manager)
    return observer.get_model_qsvs()


def float_tensors(path: Path) -> list[str]:
    """Names of the tensors that norms and label-picking operators write; they stay in float."""
    interpreter = _undelegated(path)
    names = {tensor["index"]: tensor["name"] for tensor in interpreter.get_tensor_details()}
    graph = [
        Operator(op["index"], op["op_name"], tuple(map(int, op["inputs"])), tuple(map(int, op["outputs"])))
        for op in interpreter._get_ops_details()
    ]
    layers = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL")
    tail = set(label_tail(graph, pickers=("ARG_MAX", "TOPK_V2"), layers=layers))
    tail |= set(norm_operators(graph, NORMS))
    return [names[value] for op in graph if op.key in tail for value in op.outputs if value in names]


def _undelegated(path: Path) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return Interpreter(str(path), experimental_op_resolver_type=plain)


def _signature_inputs(path: Path) -> list[str]:
    from ai_edge_litert.interpreter import Interpreter

    return list(Interpreter(str(path)).get_signature_list()[SIGNATURE]["inputs"])


def _describe(job: ExportJob, record: Any) -> Lowered:
    from ai_edge_litert.interpreter import Interpreter

    with job.shared.converter("ai_edge_litert.load"):
        interpreter = Interpreter(str(job.path))
        interpreter.allocate_tensors()
        operators = Counter(operator["op_name"] for operator in interpreter._get_ops_details())
        details = interpreter.get_input_details(), interpreter.get_output_details()
    delegates = operators.pop("DELEGATE", 0)

    def specs(tensors: list[dict[str, Any]], names: tuple[str, ...]) -> tuple[TensorSpec, ...]:
        made = []
        for tensor, name in zip(tensors, names, strict=True):
            scale, zero_point = tensor["quantization"]
            shape = tuple(int(side) for side in tensor["shape"])
            quantized = np.issubdtype(tensor["dtype"], np.integer) and scale != 0.0
            made.append(
                TensorSpec(
                    name,
                    shape,
                    np.dtype(tensor["dtype"]).name,
                    "NCHW" if len(shape) == 4 else "",
                    float(scale) if quantized else None,
                    int(zero_point) if quantized else None,
                )
            )
        return tuple(made)

    facts = {"delegates": delegates, "operators": dict(operators.most_common())}
    return Lowered(specs(details[0], job.input_names), specs(details[1], job.output_names), record, facts)
