"""Rounds the weights of a layer together instead of one by one.

A layer computes y = W x. Rounded to int8, its weights are W + D, and on the samples its output moves by

    E |D x|^2 = sum over the rows d of D:  d C d^T,    C = E x x^T.

Rounding to nearest makes each weight's error small and ignores C. Inputs that belong together, such as neighbouring pixels
or channels behind a ReLU, make C far from diagonal: there errors of one sign add up and errors of opposite signs cancel.
Here one weight after the other takes the step that makes the error of its row smallest while the others stay, in a few
passes. Every weight stays one of the two neighbours of its exact value, and the largest one of a row, which decides its
scale, stays as it is. Rounding the layer's input to int8 adds its own variance to C's diagonal.

No batch of labels and no gradient is needed; it takes seconds.

The error is that of Nagel et al., Up or Down? Adaptive Rounding for Post-Training Quantization, 2020, section 3.1
(https://arxiv.org/abs/2004.10568); the passes over the columns are those of Behdin et al., QuantEase, 2023, algorithm 1
(https://arxiv.org/abs/2309.01885).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, fx
from torch.nn import functional as F

from edgedeploy.models.rewrites.graph import argument

from .layers import CONVOLUTIONS, groups_of, row_steps

PASSES = 4
MAX_POSITIONS = 32768  # of all samples' maps together, evenly spread: more change C no more, and take memory
BLOCK = 64  # columns whose errors reach the other columns together
DAMPING = 0.1  # of C's mean diagonal, added to it: images unlike the samples have another C
FEW = 32  # weights of a row, as of depthwise layers: the C of more has more values than the samples can tell
DAMPING_OF_MORE = 0.25


def rounded_together(node: fx.Node, weight: Tensor, values: Sequence[Tensor]) -> Tensor:
    """A layer's weight on its int8 grid.

    Args:
        values: of the layer's input, one for each sample.
    """
    rows = weight.flatten(1).unflatten(0, (groups_of(node), -1))
    correlation = _correlation(node, weight, values)
    return _rounded(rows.float(), correlation).view(weight.shape).to(weight.dtype)


def _correlation(node: fx.Node, weight: Tensor, values: Sequence[Tensor]) -> Tensor:
    """C of each group, (groups, n, n) for rows of n weights."""
    n, most = weight[0].numel(), MAX_POSITIONS // len(values)
    c = torch.zeros(groups_of(node), n, n)
    for value in values:
        x = _columns(node, weight, value, most)
        c.baddbmm_(x, x.mT, alpha=1 / (x.shape[-1] * len(values)))
    smallest = min(0.0, *(float(value.min()) for value in values))
    largest = max(0.0, *(float(value.max()) for value in values))
    damping = DAMPING if n <= FEW else DAMPING_OF_MORE
    rounding_variance = ((largest - smallest) / 255) ** 2 / 12
    diagonal = c.diagonal(dim1=1, dim2=2)
    diagonal += (rounding_variance + damping * diagonal.mean(1, keepdim=True)).clamp_min(1e-20)  # an input may be 0
    return c


def _columns(node: fx.Node, weight: Tensor, value: Tensor, most: int) -> Tensor:
    """What a layer multiplies its rows with, (groups, n, positions), at no more than about `most` positions."""
    if node.target not in CONVOLUTIONS:
        vectors = value.flatten(0, -2) if value.ndim > 1 else value[None]
        return vectors[:: math.ceil(len(vectors) / most)].float().mT[None]
    stride, padding, dilation = (argument(node, index) for index in (3, 4, 5))
    kernel = weight.shape[2:]
    if isinstance(padding, str):
        value = F.pad(value, _same_padding(kernel, dilation)) if padding == "same" else value
        padding = (0, 0)
    height, width = node.meta["val"].shape[-2:]
    every = math.ceil(math.sqrt(height * width / most))
    images = value if value.ndim == 4 else value[None]
    down, right = _pair(stride)
    strides = every * down, every * right
    if (*kernel, *_pair(padding)) == (1, 1, 0, 0):
        patches = images[..., :: strides[0], :: strides[1]].flatten(2).float()
    else:
        patches = F.unfold(images.float(), kernel, _pair(dilation), _pair(padding), strides)
    by_group = patches.unflatten(1, (groups_of(node), -1))  # (batch, groups, n, positions)
    return by_group.permute(1, 2, 0, 3).flatten(2)


def _pair(sides: Sequence[int]) -> tuple[int, int]:
    return sides[0], sides[-1]


def _same_padding(kernel: Sequence[int], dilation: Sequence[int]) -> list[int]:
    """Left, right, top and bottom; an odd pixel goes to the end."""
    vertical, horizontal = (d * (k - 1) for k, d in zip(kernel, _pair(dilation), strict=True))
    return [horizontal // 2, horizontal - horizontal // 2, vertical // 2, vertical - vertical // 2]


def _rounded(rows: Tensor, c: Tensor) -> Tensor:
    """The rows (groups, out, n), each weight at one of its two neighbours in int8."""
    step = row_steps(rows)
    exact = rows / step
    decides_scale = exact.abs() == exact.abs().amax(-1, keepdim=True)
    # columns of the rows lie together in memory: (groups, n, out)
    low = torch.where(decides_scale, exact.round(), exact.floor()).mT.contiguous()
    high = torch.where(decides_scale, exact.round(), exact.ceil()).mT.contiguous()
    exact = exact.mT.contiguous()
    steps = exact.round()
    for _ in range(PASSES):
        slope = c @ (steps - exact)
        before = steps.clone()
        for first in range(0, steps.shape[1], BLOCK):
            part = slice(first, first + BLOCK)
            _step_columns(steps[:, part], slope[:, part].clone(), c[:, part, part], low[:, part], high[:, part])
            slope += c[:, :, part] @ (steps[:, part] - before[:, part])
        if torch.equal(steps, before):
            break
    return steps.mT.contiguous() * step


def _step_columns(steps: Tensor, slope: Tensor, c: Tensor, low: Tensor, high: Tensor) -> None:
    """Moves one column of weights after the other to where the error is smallest while the others stay, in place."""
    for column in range(steps.shape[1]):
        best = (steps[:, column] - slope[:, column] / c[:, column, column, None]).round()
        best = best.clamp(low[:, column], high[:, column])
        slope += c[:, :, column, None] * (best - steps[:, column])[:, None]
        steps[:, column] = best
