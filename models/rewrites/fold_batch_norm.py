"""BatchNorm ∘ Conv -> Conv,  Conv ∘ BatchNorm -> Conv,  and the same with Linear.

With s = g / sqrt(var + eps) and t = beta - mean * s, a BatchNorm is y = s x + t per channel.

    after  a layer (W, b):   W'_o = s_o W_o          b'_o = s_o b_o + t_o
    before a layer (W, b):   W'_oi = W_oi s_i        b'_o = b_o + sum_i,k W_oik t_i

"After" is Jacob et al. 2018, section 3.2, https://arxiv.org/abs/1712.05877. "Before" is exact only without padding: a
padded zero would have been a zero, and after folding it would have to be t. It is declined there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, fx

from edgedeploy.core.errors import RewriteRefused

from .affine import LAYERS, change_layer, is_unpadded
from .graph import Graph, argument, operator_name, single_user
from .rewrite import Rewrite

aten = torch.ops.aten


@dataclass(frozen=True)
class Fold:
    """A layer and the norm's scale and shift, in float64."""

    layer: fx.Node
    scale: Tensor
    shift: Tensor
    norm_comes_first: bool


class FoldBatchNorm(Rewrite):
    name = "fold_batch_norm"
    reason = "a BatchNorm beside a convolution is a second pass over the map that the convolution can do for free"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target == aten.batch_norm.default

    def check(self, graph: Graph, node: fx.Node) -> Fold:
        scale, shift = affine_of(graph, node)
        source = node.args[0]
        reasons = []
        if isinstance(source, fx.Node) and source.target in LAYERS:
            if single_user(source) is node and graph.constant(argument(source, 1)) is not None:
                return Fold(source, scale, shift, norm_comes_first=False)
            reasons.append("the layer before it is also read elsewhere, or its weight is computed")
        user = single_user(node)
        if user is None:
            reasons.append("several operators read the norm's output" if node.users else "nothing reads it")
        elif user.target not in LAYERS or user.args[0] is not node:
            reasons.append(f"what follows is {operator_name(user)}, not a convolution or linear layer")
        elif graph.constant(argument(user, 1)) is None:
            reasons.append("the weight of the layer after it is computed")
        elif not is_unpadded(user):
            reasons.append("the convolution after it pads with zeros, which would miss the norm's shift")
        else:
            return Fold(user, scale, shift, norm_comes_first=True)
        raise RewriteRefused("; ".join(reasons))

    def rewrite(self, graph: Graph, node: fx.Node, plan: Fold) -> None:
        layer = plan.layer
        change_layer(graph, layer, plan.scale, plan.shift, in_front=plan.norm_comes_first)
        if plan.norm_comes_first:
            layer.args = (node.args[0], *layer.args[1:])
            graph.erase_if_unused(node)
        else:
            graph.replace(node, layer)


def affine_of(graph: Graph, norm: fx.Node) -> tuple[Tensor, Tensor]:
    """The scale and shift (C,) of a BatchNorm in float64. Raises RewriteRefused where they are not constant."""
    if argument(norm, 5):
        raise RewriteRefused("the norm is in training mode: it uses the batch's own statistics")
    mean, variance = graph.constant(argument(norm, 3)), graph.constant(argument(norm, 4))
    if mean is None or variance is None:
        raise RewriteRefused("the norm keeps no running statistics")
    gain, bias = graph.constant(argument(norm, 1)), graph.constant(argument(norm, 2))
    scale = (variance.double() + argument(norm, 7)).rsqrt()
    scale = scale if gain is None else scale * gain.double()
    shift = -mean.double() * scale
    return scale, shift if bias is None else shift + bias.double()


REWRITE = FoldBatchNorm()
