"""EdgeViT where the paper, the code or a habit would lead one astray."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgedeploy.models import edgevit
from edgedeploy.models.edgevit import EdgeViT, LocalAgg, PatchEmbed, SelfAttn, SparseAttention
from edgedeploy.models.layers import MultiHeadAttention, attend
from tests.models.reference import seeded

VARIANTS = tuple(edgevit.VARIANTS)


def built(variant: str) -> EdgeViT:
    with torch.device("meta"):
        return edgevit.edgevit(variant)


@torch.no_grad()
def test_the_sampler_keeps_the_top_left_position_and_averages_nothing() -> None:
    attention = seeded(SparseAttention(36, 1, 4))
    h, w = 8, 12
    x = torch.randn(1, h * w, 36)
    picked = x.reshape(1, h, w, 36)[:, ::4, ::4]
    elsewhere = torch.randn(1, h, w, 36)
    elsewhere[:, ::4, ::4] = picked
    torch.testing.assert_close(attention(x, (h, w)), attention(elsewhere.reshape(1, h * w, 36), (h, w)))


@torch.no_grad()
def test_after_attention_come_propagation_then_norm_then_projection() -> None:
    attention = seeded(SparseAttention(36, 1, 2))
    assert isinstance(attention, SparseAttention)
    x = torch.randn(1, 16, 36)
    grid = x.reshape(1, 4, 4, 36)[:, ::2, ::2].reshape(1, 4, 36)
    y = attend(attention.qkv(grid), 1).transpose(1, 2).reshape(1, 36, 2, 2)
    # kernel and stride are r, so every value spreads over its own window
    weight, bias = attention.LocalProp.weight, attention.LocalProp.bias
    assert bias is not None
    spread = torch.einsum("bchw,cij->bchiwj", y, weight[:, 0]).reshape(1, 36, 4, 4) + bias[:, None, None]
    expected = attention.proj(attention.norm(spread.flatten(2).transpose(1, 2)))
    torch.testing.assert_close(attention(x, (4, 4)), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_stage_4_is_dense_and_has_nothing_local(variant: str) -> None:
    network = built(variant)
    keys = [key for key in network.state_dict() if key.startswith("blocks4.")]
    assert keys
    assert not any("LocalAgg" in key or "LocalProp" in key or "attn.norm" in key for key in keys)
    for stage, rate in zip((1, 2, 3), (4, 2, 2), strict=True):
        sparse = [m for m in network.get_submodule(f"blocks{stage}").modules() if isinstance(m, SparseAttention)]
        assert [m.rate for m in sparse] == [rate] * edgevit.VARIANTS[variant].depths[stage - 1]


@pytest.mark.parametrize("variant", VARIANTS)
def test_layer_norms_differ_in_eps(variant: str) -> None:
    network = built(variant)
    for module in network.modules():
        if isinstance(module, (PatchEmbed, SparseAttention)):
            assert module.norm.eps == 1e-5
        elif isinstance(module, SelfAttn):
            assert (module.norm1.eps, module.norm2.eps) == (1e-6, 1e-6)


@pytest.mark.parametrize(("variant", "heads"), [("xxs", [1, 2, 4, 8]), ("xs", [1, 2, 5, 8]), ("s", [1, 2, 5, 8])])
def test_heads_follow_from_the_width_of_a_head(variant: str, heads: list[int]) -> None:
    network = built(variant)
    counted = []
    for stage in (1, 2, 3, 4):
        modules = network.get_submodule(f"blocks{stage}").modules()
        counted += list({m.heads for m in modules if isinstance(m, (SparseAttention, MultiHeadAttention))})
    assert counted == heads


@torch.no_grad()
def test_attention_logits_are_scaled_by_the_root_of_the_head_width() -> None:
    tokens, heads, d = 5, 2, 3
    qkv = torch.randn(1, tokens, 3 * heads * d)
    q, k, v = qkv[0].reshape(tokens, 3, heads, d).unbind(1)
    expected = torch.cat([((q[:, h] @ k[:, h].T) / d**0.5).softmax(dim=1) @ v[:, h] for h in range(heads)], dim=1)
    torch.testing.assert_close(attend(qkv, heads)[0], expected)


@torch.no_grad()
def test_the_local_aggregation_has_no_activation_between_its_convolutions() -> None:
    local = seeded(LocalAgg(36))
    assert isinstance(local, LocalAgg)

    def branch(x: Tensor) -> Tensor:
        return local.conv2(local.attn(local.conv1(local.norm1(x))))

    a, b = torch.randn(2, 1, 36, 6, 6)
    assert local.attn.kernel_size == (5, 5)
    torch.testing.assert_close(branch(a + b), branch(a) + branch(b) - branch(torch.zeros_like(a)), atol=1e-4, rtol=1e-4)
    y = local.pos_embed(a) + a
    y = y + branch(y)
    torch.testing.assert_close(local(a), y + local.mlp(local.norm2(y)))


def test_the_final_batch_norm_is_before_the_mean() -> None:
    network = edgevit.edgevit("xxs")
    seen: list[torch.Size] = []
    network.norm.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].shape))
    with torch.no_grad():
        network(torch.randn(1, 3, 64, 64))
    assert isinstance(network.norm, nn.BatchNorm2d)
    assert seen == [(1, 288, 2, 2)]


def test_the_depths_are_those_of_the_code_and_not_of_the_papers_count() -> None:
    assert [edgevit.VARIANTS[v].depths for v in ("xxs", "xs", "s")] == [(1, 1, 3, 2), (1, 1, 3, 1), (1, 2, 5, 3)]
    assert sum(p.numel() for p in built("s").parameters()) == 13_108_168  # the paper prints 11.1 M
