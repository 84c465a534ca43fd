from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgedeploy.exporters.onnx_passes.hard_swish_to_gate import hard_swish_to_gate

from .quantized_activation import affine_of, errors_in_steps, kernels_of, quantized_activation, values_of

RANGES = [(-4.2, 4.3), (-9.0, 7.0), (-1.0, 1.5), (0.0, 17.0), (-300.0, 250.0)]


@pytest.mark.parametrize(("low", "high"), RANGES)
def test_every_int8_input_is_within_a_step(low: float, high: float) -> None:
    x = affine_of(low, high)
    exact = values_of(x) * np.clip(values_of(x) / 6 + 0.5, 0, 1)
    y = affine_of(exact.min(), exact.max())
    model = quantized_activation("HardSwish", x, y)
    done = hard_swish_to_gate(model)
    onnx.checker.check_model(model, full_check=True)
    errors = errors_in_steps(model, exact, y)
    assert 0 <= done["activation"] < 1
    assert errors.max() <= done["activation"] + 0.51, "rounding takes half a step more"


def test_onnx_runtime_computes_it_in_integers(tmp_path: Path) -> None:
    model = quantized_activation("HardSwish", affine_of(-4, 4), affine_of(-0.38, 4))
    hard_swish_to_gate(model)
    assert kernels_of(model, tmp_path) == ["QLinearMul", "QLinearMul"]


def test_a_hard_swish_whose_steps_are_finer_than_the_gate_stays() -> None:
    assert hard_swish_to_gate(quantized_activation("HardSwish", affine_of(-4, 4), affine_of(-0.02, 0.02))) == {}
