"""What the quantizer for ExecuTorch makes of means that the recipe leaves in float."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from edgedeploy.exporters.executorch_quantizer import quantizer

X = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))


class Pooled(nn.Module):
    """A convolution, a pooling whose values are far smaller than what it reads, and an exponential, which is float."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(4, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.exp(torch.mean(self.conv(x), (2, 3), keepdim=True).reshape(1, 4))


@pytest.mark.parametrize(("in_float", "conversions"), [({"mean", "reshape"}, 0), (set(), 2)])
def test_a_mean_in_float_is_not_rounded_in_steps_of_its_input(in_float: set[str], conversions: int) -> None:
    captured = torch.export.export(Pooled().eval(), (X,)).module(check_guards=False)
    annotator = quantizer()
    annotator.set_filter_function(lambda node: node.name not in in_float)
    prepared = prepare_pt2e(captured, annotator)
    prepared(X)
    quantized = convert_pt2e(prepared)
    (mean,) = (node for node in quantized.graph.nodes if str(node.target) == "aten.mean.dim")
    behind = [node for node in quantized.graph.nodes if node > mean and "quantize_per_tensor" in str(node.target)]
    assert len(behind) == 2 * conversions
