"""The measuring child process of studies/attention_cost: one attention layer, one token count.

    python -m edgedeploy.studies.attention_cost.worker BLOCK SIDE    ->  an AttentionRun as JSON on stdout

The layer gets what the first XF unit of `xformer` gets from an
image of SIDE x SIDE: maps at stride 8 in patches of 2x2, that is 4 sequences of (SIDE / 16)^2 tokens, 144 wide. All three
keep XFormer's projections (Q, K, V 96 wide, one head) and differ in how the tokens are mixed:

    cross-feature   cross feature attention, as in models/xformer.py
    softmax         softmax(Q K^T / sqrt(96)) V, spelled as two matrix products, as every format here holds it
    fused           the same by torch's scaled_dot_product_attention, which never stores the N x N matrix
"""

from __future__ import annotations

import resource
import sys
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgedeploy.core.storage.json_records import encode_line
from edgedeploy.models.xformer import QKV_WIDTH, CrossFeatureAttention

from . import AttentionRun

WIDTH, SEQUENCES, STRIDE = 144, 4, 16  # of the first XF unit; STRIDE is the maps' 8 times the patch's 2
MIN_RUNS, MIN_S = 5, 0.5


class SoftmaxAttention(nn.Module):
    """(B, N, d) -> (B, N, d) in O(N^2 D)."""

    def __init__(self, dim: int, *, fused: bool) -> None:
        super().__init__()
        self.fused = fused
        self.qkv = nn.Linear(dim, 3 * QKV_WIDTH)
        self.proj = nn.Linear(QKV_WIDTH, dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).split(QKV_WIDTH, dim=-1)  # each (B, N, D)
        if self.fused:
            # one head: (B, 1, N, D)
            y = F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
        else:
            y = (q * QKV_WIDTH**-0.5 @ k.transpose(1, 2)).softmax(dim=-1) @ v
        return self.proj(y)


def block(name: str) -> nn.Module:
    """One of the three layers, in eval mode."""
    if name == "cross-feature":
        return CrossFeatureAttention(WIDTH).eval()
    return SoftmaxAttention(WIDTH, fused=name == "fused").eval()


def measure(name: str, side: int) -> AttentionRun:
    """Times one layer on one thread."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tokens = (side // STRIDE) ** 2
    layer, x = block(name), torch.randn(SEQUENCES, tokens, WIDTH)
    before = _peak_bytes()
    samples: list[int] = []
    with torch.no_grad():
        layer(x)  # the first run allocates
        begin = time.perf_counter()
        while len(samples) < MIN_RUNS or time.perf_counter() - begin < MIN_S:
            start = time.perf_counter_ns()
            layer(x)
            samples.append(time.perf_counter_ns() - start)
    return AttentionRun(SEQUENCES * tokens, tuple(samples), _peak_bytes() - before)


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    print(encode_line(measure(sys.argv[1], int(sys.argv[2]))))
