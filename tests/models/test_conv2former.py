"""Conv2Former where the paper, the code or a habit would lead one astray."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from edgedeploy.models import conv2former
from edgedeploy.models.conv2former import Block, Conv2Former, ConvModulation, Mlp
from edgedeploy.models.layers import ChannelLayerNorm
from tests.models.families import named
from tests.models.reference import seeded


def built(variant: str) -> Conv2Former:
    with torch.device("meta"):
        return conv2former.conv2former(variant)


@pytest.mark.parametrize(("variant", "kernel"), [("n", 7), ("t", 11), ("s", 11), ("b", 11), ("b-22k", 7), ("l", 11)])
def test_kernels_are_those_of_the_checkpoints_not_of_the_paper(variant: str, kernel: int) -> None:
    kernels = {m.att[2].kernel_size for m in built(variant).modules() if isinstance(m, ConvModulation)}
    assert kernels == {(kernel, kernel)}


def test_a_checkpoint_decides_the_kernel() -> None:
    with torch.device("meta"):
        checkpoint = conv2former.conv2former("b-22k").state_dict()
        build = named("conv2former-b").build_from_checkpoint
        assert build is not None
        network = build(checkpoint, None)
    assert {key: value.shape for key, value in network.state_dict().items()} == {
        key: value.shape for key, value in checkpoint.items()
    }


def test_the_stem_activates_before_it_normalises_and_has_no_bias() -> None:
    stem = built("n").downsample_layers[0]
    assert isinstance(stem, nn.Sequential)
    names = [type(layer).__name__ for layer in stem]
    assert names == ["Conv2d", "GELU", "BatchNorm2d", "Conv2d", "GELU", "BatchNorm2d", "Conv2d"]
    assert all(layer.bias is None for layer in stem if isinstance(layer, nn.Conv2d))


@torch.no_grad()
def test_the_modulation_is_a_bare_product() -> None:
    modulation = seeded(ConvModulation(8, 7))
    assert isinstance(modulation, ConvModulation)
    x = torch.randn(1, 8, 9, 9)
    n = modulation.norm(x)
    a = modulation.att[2](F.gelu(modulation.att[0](n)))
    torch.testing.assert_close(modulation(x), modulation.proj(a * modulation.v(n)))


@torch.no_grad()
def test_the_mlps_depthwise_branch_is_residual_around_the_activated_map() -> None:
    mlp = seeded(Mlp(8))
    assert isinstance(mlp, Mlp)
    x = torch.randn(1, 8, 5, 5)
    hidden = F.gelu(mlp.fc1(mlp.norm(x)))
    assert hidden.shape[1] == 32
    torch.testing.assert_close(mlp(x), mlp.fc2(hidden + F.gelu(mlp.pos(hidden))))


def test_the_head_normalises_every_position_before_the_mean() -> None:
    network = conv2former.conv2former("n")
    seen: list[torch.Size] = []
    network.head[2].register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].shape))
    with torch.no_grad():
        network(torch.randn(1, 3, 64, 64))
    assert seen == [(1, 1280, 2, 2)]


def test_norms_have_the_originals_eps_and_gelu_is_exact() -> None:
    network = built("n")
    assert {m.eps for m in network.modules() if isinstance(m, nn.LayerNorm)} == {1e-6}
    assert {m.eps for m in network.modules() if isinstance(m, nn.BatchNorm2d)} == {1e-5}
    assert {m.approximate for m in network.modules() if isinstance(m, nn.GELU)} == {"none"}


@torch.no_grad()
def test_layer_scales_are_vectors_over_channels_and_begin_at_a_millionth() -> None:
    block = Block(8, 7)
    assert block.layer_scale_1.shape == block.layer_scale_2.shape == (8,)
    assert block.layer_scale_1.unique().tolist() == pytest.approx([1e-6])
    block.layer_scale_1.zero_()[3] = 1.0
    block.layer_scale_2.zero_()
    x = torch.randn(1, 8, 5, 5)
    changed = (block(x) - x).abs().amax(dim=(0, 2, 3)) > 0
    assert changed.nonzero().flatten().tolist() == [3]


@torch.no_grad()
def test_channel_layer_norm_uses_the_biased_variance_at_each_position() -> None:
    norm = seeded(ChannelLayerNorm(6))
    x = torch.randn(2, 6, 3, 4) * 3 + 1
    mean, variance = x.mean(dim=1, keepdim=True), x.var(dim=1, correction=0, keepdim=True)
    weight, bias = norm.get_parameter("weight")[:, None, None], norm.get_parameter("bias")[:, None, None]
    torch.testing.assert_close(norm(x), (x - mean) / (variance + 1e-6).sqrt() * weight + bias)
