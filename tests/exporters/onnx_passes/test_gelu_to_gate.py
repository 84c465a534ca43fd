from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from edgedeploy.exporters.onnx_passes.gates import MAX_ERROR_STEPS
from edgedeploy.exporters.onnx_passes.gelu_to_gate import fit, gelu_to_gate
from edgedeploy.exporters.onnx_passes.qdq_graph import Affine

from .quantized_activation import affine_of, errors_in_steps, kernels_of, quantized_activation, values_of

RANGES = [(-4.2, 4.3), (-9.0, 7.0), (-1.0, 1.5), (-0.2, 17.0), (-3.0, 9.0)]


def gelu(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([value * 0.5 * (1 + math.erf(value / math.sqrt(2))) for value in x])


@pytest.mark.parametrize(("low", "high"), RANGES)
def test_every_int8_input_is_within_the_bound(low: float, high: float) -> None:
    x = affine_of(low, high)
    exact = gelu(values_of(x))
    y = affine_of(exact.min(), exact.max())
    model = quantized_activation("Gelu", x, y)
    done = gelu_to_gate(model)
    onnx.checker.check_model(model, full_check=True)
    errors = errors_in_steps(model, exact, y)
    assert 0 < done["activation"] <= MAX_ERROR_STEPS
    assert errors.max() <= done["activation"] + 0.51, "rounding takes half a step more"
    assert np.sqrt(np.mean(errors**2)) < 0.75


def test_onnx_runtime_computes_it_in_integers(tmp_path: Path) -> None:
    model = quantized_activation("Gelu", affine_of(-4, 4), affine_of(-0.17, 4))
    gelu_to_gate(model)
    assert kernels_of(model, tmp_path) == ["QLinearSigmoid", "QLinearMul"]


def test_a_gelu_with_a_float_output_stays() -> None:
    model = quantized_activation("Gelu", affine_of(-4, 4), affine_of(-0.17, 4), float_output=True)
    assert gelu_to_gate(model) == {}
    assert [node.op_type for node in model.graph.node] == ["DequantizeLinear", "Gelu"]


def test_a_gelu_whose_steps_are_finer_than_the_gate_stays() -> None:
    x, y = affine_of(-4, 4), affine_of(-0.02, 0.02)
    assert fit(x, y).error_steps > MAX_ERROR_STEPS
    assert gelu_to_gate(quantized_activation("Gelu", x, y)) == {}


def test_a_gate_within_the_bound_is_taken_before_one_with_a_smaller_mean_error() -> None:
    x, y = Affine(0.02158394642174244, 10), Affine(0.010539681650698185, -112)  # of a Conv2Former-N
    assert fit(x, y).error_steps <= MAX_ERROR_STEPS
