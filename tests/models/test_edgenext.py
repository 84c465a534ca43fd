"""EdgeNeXt where the paper, the code or a habit would lead one astray."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgedeploy.models import edgenext
from edgedeploy.models.edgenext import ConvEncoder, CrossCovarianceAttention, EdgeNeXt, SdtaEncoder
from tests.models.families import named
from tests.models.reference import golden_input, read, seeded

PLAIN = ("xx-small", "x-small", "small", "base")
BN_HS = ("xx-small-bn-hs", "x-small-bn-hs", "small-bn-hs")


def built(variant: str) -> EdgeNeXt:
    with torch.device("meta"):
        return edgenext.edgenext(variant)


def sdta(variant: str, stage: int) -> SdtaEncoder:
    """The attention encoder of a stage (1-based), with the rule's weights."""
    block = seeded(edgenext.edgenext(variant)).get_submodule(f"stages.{stage - 1}")[-1]  # type: ignore[index]
    assert isinstance(block, SdtaEncoder)
    return block


def input_of(module: nn.Module, run: nn.Module, x: Tensor) -> Tensor:
    """What `module` gets when `run` is given `x`."""
    seen: list[Tensor] = []
    hook = module.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        run(x)
    hook.remove()
    return seen[0]


@pytest.mark.parametrize(
    ("variant", "stage", "widths"),
    [
        ("xx-small", 2, [24, 24]),
        ("xx-small", 3, [30, 30, 28]),
        ("xx-small", 4, [42, 42, 42, 42]),
        ("x-small", 3, [34, 34, 32]),
        ("small", 3, [54, 54, 52]),
        ("base", 3, [96, 96, 96]),
        ("base", 4, [146, 146, 146, 146]),
    ],
)
@torch.no_grad()
def test_chunks_are_of_one_width_and_the_last_one_passes_untouched(variant: str, stage: int, widths: list[int]) -> None:
    block = sdta(variant, stage)
    x = torch.randn(1, sum(widths), 5, 6)
    *convolved, last = block.cascade(x).split(widths, dim=1)
    *chunks, untouched = x.split(widths, dim=1)
    assert torch.equal(last, untouched)
    before = torch.zeros_like(chunks[0])
    for conv, chunk, result in zip(block.convs, chunks, convolved, strict=True):
        torch.testing.assert_close(result, conv(chunk + before))
        before = result


@torch.no_grad()
def test_attention_is_over_channels_with_a_temperature_and_no_other_scale() -> None:
    dim, heads, tokens = 12, 3, 20
    xca = seeded(CrossCovarianceAttention(dim, heads))
    assert isinstance(xca, CrossCovarianceAttention)
    x = torch.randn(1, tokens, dim)
    q, k, v = xca.qkv(x)[0].reshape(tokens, 3, heads, dim // heads).unbind(1)  # each (N, heads, d)
    out = torch.empty(tokens, heads, dim // heads)
    for h in range(heads):
        unit_q = q[:, h] / q[:, h].norm(dim=0)  # along the tokens
        unit_k = k[:, h] / k[:, h].norm(dim=0)
        weights = (unit_q.T @ unit_k * xca.temperature[h]).softmax(dim=1)  # over the key channels
        out[:, h] = v[:, h] @ weights.T
    torch.testing.assert_close(xca(x)[0], xca.proj(out.reshape(tokens, dim)), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_position_encoding_counts_from_one_and_interleaves_sin_and_cos() -> None:
    encoding = edgenext.position_encoding(4, 6, torch.zeros(()))
    assert encoding.shape == (1, 64, 4, 6)
    for r, c in [(1, 1), (3, 2), (4, 6)]:
        for i in (0, 1, 2, 5, 31):
            frequency = 10000 ** (2 * (i // 2) / 32)
            wave = math.cos if i % 2 else math.sin
            row, column = r / (4 + 1e-6) * 2 * math.pi, c / (6 + 1e-6) * 2 * math.pi
            assert encoding[0, i, r - 1, c - 1].item() == pytest.approx(wave(row / frequency), abs=1e-6)
            assert encoding[0, 32 + i, r - 1, c - 1].item() == pytest.approx(wave(column / frequency), abs=1e-6)


@pytest.mark.parametrize("variant", PLAIN + BN_HS)
def test_only_stage_2_encodes_positions(variant: str) -> None:
    keys = [key for key in built(variant).state_dict() if "pos_embd" in key]
    depth = edgenext.VARIANTS[variant].depths[1]
    block = f"stages.1.{depth - 1}.pos_embd.token_projection"
    assert keys == [f"{block}.weight", f"{block}.bias"]


def test_positions_are_added_to_the_trunk_so_they_pass_the_inner_residual() -> None:
    block = sdta("xx-small", 2)
    block.gamma_xca.data.zero_()  # nothing of the attention is left
    x = torch.randn(1, 48, 4, 4)
    assert block.pos_embd is not None
    with torch.no_grad():
        trunk = block.cascade(x) + block.pos_embd(4, 4)
    torch.testing.assert_close(input_of(block.norm, block, x), trunk.permute(0, 2, 3, 1))


def test_bn_hs_normalises_the_trunk_before_the_positions_and_replaces_it() -> None:
    block = sdta("xx-small-bn-hs", 2)
    block.gamma_xca.data.zero_()
    x = torch.randn(1, 48, 4, 4)
    assert block.pos_embd is not None
    with torch.no_grad():
        trunk = block.norm_xca(block.cascade(x)) + block.pos_embd(4, 4)
    torch.testing.assert_close(input_of(block.norm, block, x), trunk)


@torch.no_grad()
def test_outer_residual_is_the_original_input() -> None:
    block = sdta("xx-small", 3)
    block.gamma.data.zero_()
    x = torch.randn(1, 88, 4, 4)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("variant", BN_HS)
def test_bn_hs_has_no_bias_where_batch_norm_follows_and_no_layer_norm(variant: str) -> None:
    network = built(variant)
    assert not any(isinstance(m, (nn.LayerNorm, nn.GELU)) for m in network.modules())
    assert {m.eps for m in network.modules() if isinstance(m, nn.BatchNorm2d)} == {1e-5}
    encoders = [m for m in network.modules() if isinstance(m, ConvEncoder)]
    assert encoders
    assert all(encoder.dwconv.bias is None for encoder in encoders)
    assert all(m.bias is None for m in network.downsample_layers.modules() if isinstance(m, nn.Conv2d))
    assert all(conv.bias is not None for m in network.modules() if isinstance(m, SdtaEncoder) for conv in m.convs)


@pytest.mark.parametrize("variant", PLAIN)
def test_layer_norms_have_eps_1e_6_and_gelu_is_exact(variant: str) -> None:
    network = built(variant)
    assert {m.eps for m in network.modules() if isinstance(m, nn.LayerNorm)} == {1e-6}
    assert {m.approximate for m in network.modules() if isinstance(m, nn.GELU)} == {"none"}


def test_the_final_norm_is_before_the_mean_in_bn_hs_and_after_it_elsewhere() -> None:
    x = torch.randn(1, 3, 64, 64)
    plain, bn_hs = edgenext.edgenext("xx-small"), edgenext.edgenext("xx-small-bn-hs")
    assert input_of(plain.norm, plain, x).shape == (1, 168)
    assert input_of(bn_hs.norm, bn_hs, x).shape == (1, 168, 2, 2)


@pytest.mark.parametrize(("variant", "heads"), [("xx-small", 4), ("x-small", 4), ("small", 8), ("base", 8)])
def test_heads_are_the_same_in_all_stages(variant: str, heads: int) -> None:
    attentions = [m for m in built(variant).modules() if isinstance(m, CrossCovarianceAttention)]
    assert [m.heads for m in attentions] == [heads] * 3
    assert all(m.temperature.shape == (heads, 1, 1) for m in attentions)


def test_layer_scales_begin_at_a_millionth() -> None:
    for key, value in edgenext.edgenext("xx-small").state_dict().items():
        if key.endswith(("gamma", "gamma_xca")):
            assert value.ndim == 1
            assert value.unique().tolist() == pytest.approx([1e-6])


def _stored(entries: list[Any]) -> dict[str, Tensor]:
    return {name: torch.full(shape, float(i)) for i, (name, shape, *_) in enumerate(entries)}


@pytest.mark.parametrize("variant", PLAIN)
def test_timm_checkpoints_load(variant: str) -> None:
    entries = read("edgenext", f"edgenext_{variant.replace('-', '_')}.timm_keys")
    stored = _stored(entries)
    adapted = edgenext.from_timm(stored)
    edgenext.edgenext(variant).load_state_dict(adapted, strict=True)
    for name, _, _, ours in entries:
        assert adapted[ours] is stored[name]
    assert named(f"edgenext-{variant}").adapt_state_dict is edgenext.from_timm


def test_the_authors_checkpoints_pass_the_adapter_unchanged() -> None:
    weights = edgenext.edgenext("xx-small").state_dict()
    adapted = edgenext.from_timm(weights)
    assert list(adapted) == list(weights)
    assert adapted is not weights


@torch.no_grad()
def test_a_batch_gives_what_its_images_give() -> None:
    network = seeded(edgenext.edgenext("xx-small"))
    x = golden_input({"seed": 3, "shape": [2, 3, 64, 96], "scale": 1.0})
    torch.testing.assert_close(network(x), torch.cat([network(x[:1]), network(x[1:])]), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_pointwise_part_is_scaled_by_gamma_after_the_second_layer() -> None:
    encoder = seeded(ConvEncoder(8, 3, bn_hs=False))
    assert isinstance(encoder, ConvEncoder)
    x = torch.randn(1, 8, 4, 4)
    y = encoder.dwconv(x).permute(0, 2, 3, 1)
    y = F.layer_norm(y, (8,), encoder.norm.weight, encoder.norm.bias, 1e-6)  # type: ignore[arg-type]
    y = encoder.pwconv2(F.gelu(encoder.pwconv1(y))) * encoder.gamma
    torch.testing.assert_close(encoder(x), x + y.permute(0, 3, 1, 2))
