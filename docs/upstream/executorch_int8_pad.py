"""ExecuTorch, int8 with XNNPACK: a pad of an int8 value whose result stays float becomes a file that does not load."""

import sys

import executorch.exir
import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config
from executorch.runtime import Runtime
from torch import nn
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

inputs = (torch.randn(1, 3, 16, 16),)
network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ZeroPad2d(2), nn.Softmax(1))
captured = torch.export.export(network.eval(), inputs).module()
quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
prepared = prepare_pt2e(captured, quantizer)
prepared(*inputs)
program = torch.export.export(convert_pt2e(prepared), inputs)
edge = executorch.exir.to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
try:
    Runtime.get().load_program(edge.to_executorch().buffer).load_method("forward").execute(inputs)
except RuntimeError as error:
    print(error)
    sys.exit(1)
print("runs")
