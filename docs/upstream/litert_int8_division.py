"""LiteRT, int8: a divisor that is rounded to zero ends the first inference."""

import os
import tempfile
from pathlib import Path

import litert_torch
import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer, recipe
from torch import nn


class Quotient(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x * 2 / (y.relu() + 1e-5)


samples = [np.random.default_rng(seed).standard_normal((2, 1, 16), dtype=np.float32) for seed in range(4)]
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "float.tflite"
    litert_torch.convert(Quotient().eval(), tuple(torch.from_numpy(samples[0]))).export(str(path))
    worker = quantizer.Quantizer(str(path))
    worker.load_quantization_recipe(recipe.static_wi8_ai8())
    names = list(Interpreter(str(path)).get_signature_list()["serving_default"]["inputs"])
    ranges = worker.calibrate({"serving_default": [dict(zip(names, sample, strict=True)) for sample in samples]})
    int8 = bytes(worker.quantize(ranges).quantized_model)
interpreter = Interpreter(model_content=int8)
interpreter.allocate_tensors()
for detail, array in zip(interpreter.get_input_details(), samples[0], strict=True):
    scale, zero_point = detail["quantization"]
    interpreter.set_tensor(detail["index"], np.clip(np.round(array / scale + zero_point), -128, 127).astype(np.int8))
try:
    interpreter.invoke()
except RuntimeError as error:
    print(error, flush=True)
    os._exit(1)  # the interpreter was seen to keep the process at its end
print("runs", flush=True)
os._exit(0)
