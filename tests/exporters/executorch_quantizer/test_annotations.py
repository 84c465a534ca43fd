from __future__ import annotations

import torch
from torch import Tensor, nn

from edgedeploy.exporters.executorch_quantizer import quantizer
from edgedeploy.exporters.executorch_quantizer.annotations import gives_int8, keep_in_float


class MaskedAttention(nn.Module):
    """Its logits get a bias, and a mask in another shape; what it gives is added to its input."""

    def forward(self, x: Tensor) -> Tensor:
        logits = x @ x.transpose(1, 2) + torch.ones(8, 8)
        masked = (logits.view(1, 2, 8, 8) + torch.full((8, 8), -100.0).triu(1)).view(2, 8, 8) + 1
        return x + torch.softmax(masked, -1) @ x


def test_sums_that_only_a_softmax_reads_stay_in_float() -> None:
    captured = torch.export.export(MaskedAttention().eval(), (torch.zeros(2, 8, 8),), strict=False).module()
    annotator = quantizer(float_outputs=False)
    keep_in_float(captured.graph, annotator)
    annotator.annotate(captured)
    sums = [node for node in captured.graph.nodes if str(node.target) == "aten.add.Tensor"]
    assert [gives_int8(node) for node in sums] == [False, False, False, True]
