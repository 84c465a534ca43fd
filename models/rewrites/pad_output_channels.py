"""A dense layer of N outputs, N not a multiple of 8 -> one of the next multiple, of which the first N are taken.

XNNPACK's float matrix product makes tiles of 8 columns. Where a last tile would be partly empty it computes the whole
product with tiles of 2 instead, at half the speed: 150 classes of 256 channels at 64x64 take 40.0 million Arm
instructions. Taking the first N costs a copy.

The rule is XNNPACK's own: less than 8 columns, or more than 1 % of them empty.
"""

from __future__ import annotations

import torch
from torch import fx

from edgedeploy.core.errors import RewriteRefused

from .graph import Graph, argument, shape, single_user, source
from .rewrite import Rewrite

aten = torch.ops.aten
TILE = 8
# A narrower layer has less to gain than the copy costs.
FEWEST = 9
LAYERS = (aten.conv2d.default, aten.linear.default)
# Activations that a delegate fuses into the layer before them.
FUSED = (aten.relu.default, aten.relu6.default, aten.hardtanh.default, aten.clamp.default)


class PadOutputChannels(Rewrite):
    name = "pad_output_channels"
    reason = "XNNPACK's float kernels take half as long where the number of outputs is a multiple of 8"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        if node.target not in LAYERS or (node.target == aten.conv2d.default and argument(node, 6) != 1):
            return False
        outputs = shape(argument(node, 1))[0]
        return outputs >= FEWEST and -outputs % TILE * 100 > outputs

    def check(self, graph: Graph, node: fx.Node) -> int:
        if graph.constant(argument(node, 1)) is None:
            raise RewriteRefused("its weight is computed")
        return -shape(argument(node, 1))[0] % TILE

    def rewrite(self, graph: Graph, node: fx.Node, plan: int) -> None:
        weight, bias = graph.constant(argument(node, 1)), graph.constant(argument(node, 2))
        assert weight is not None
        wide = graph.add_constant(torch.cat([weight, weight.new_zeros(plan, *weight.shape[1:])]), "wide", before=node)
        b = None if bias is None else graph.add_constant(torch.cat([bias, bias.new_zeros(plan)]), "wide", before=node)
        layer = aten.conv2d.default if node.target == aten.conv2d.default else aten.linear.default
        result = graph.call(layer, source(node), wide, b, *node.args[3:], before=node, **node.kwargs)
        last, user = node, single_user(node)
        if user is not None and user.target in FUSED:
            activation = next(operator for operator in FUSED if operator == user.target)
            result = graph.call(activation, result, *user.args[1:], before=user, **user.kwargs)
            last = user
        axis = 1 if layer == aten.conv2d.default else len(shape(node)) - 1
        taken = graph.call(aten.slice.Tensor, result, axis, 0, weight.shape[0], before=last)
        graph.replace(last, taken)


REWRITE = PadOutputChannels()
