"""ExecuTorch, XNNPACKQuantizer, int8: weights below 2^-13 all become 0."""

import sys

import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config
from executorch.exir import to_edge_transform_and_lower
from executorch.runtime import Runtime
from torch import nn
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e


class Network(nn.Module):
    """Two layers with a factor between them that the second takes back."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 16, 3, bias=False), nn.Conv2d(16, 4, 1, bias=False)
        with torch.no_grad():
            self.first.weight.mul_(factor)
            self.second.weight.div_(factor)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x).relu())


def sqnr_db(factor: float, x: torch.Tensor) -> float:
    """Of the int8 file against the float network, in dB."""
    network = Network(factor).eval()
    captured = torch.export.export(network, (x,)).module()
    prepared = prepare_pt2e(
        captured, XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    )
    prepared(x)
    program = torch.export.export(convert_pt2e(prepared), (x,))
    file = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch().buffer
    loaded = Runtime.get().load_program(file)
    (found,) = loaded.load_method("forward").execute((x,))
    expected = network(x)
    return float(10 * torch.log10(expected.square().sum() / (found - expected).square().sum()))


image = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
with torch.no_grad():
    found = {factor: sqnr_db(factor, image) for factor in (1.0, 1e2, 1e4)}
for factor, value in found.items():
    print(f"weights divided by {factor:7g}: SQNR {value:5.1f} dB")
sys.exit(min(found.values()) < 20)
