"""XFormer: what the paper states, and the linear cost that it is about."""

from __future__ import annotations

import pytest
import torch

from edgedeploy.models import xformer
from edgedeploy.models.layers import fold_patches, unfold_patches
from edgedeploy.models.macs import count_macs
from edgedeploy.models.xformer import CrossFeatureAttention, MV3Block, XFLayer, XFUnit
from tests.models.families import named
from tests.models.reference import seeded


def xfa_macs(tokens: int) -> int:
    with torch.device("meta"):
        return count_macs(CrossFeatureAttention(144), (torch.empty(1, tokens, 144),))


def test_the_cost_of_cross_feature_attention_is_linear_in_the_tokens() -> None:
    assert xfa_macs(256) > 0
    assert [xfa_macs(256 * factor) / xfa_macs(256) for factor in (2, 4, 16)] == [2, 4, 16]


def test_no_intermediate_of_the_attention_grows_faster_than_the_tokens() -> None:
    def largest(tokens: int) -> int:
        program = torch.export.export(CrossFeatureAttention(144).eval(), (torch.randn(1, tokens, 144),))
        values = [node.meta.get("val") for node in program.graph.nodes]
        return max(value.numel() for value in values if isinstance(value, torch.Tensor))

    assert largest(512) == 2 * largest(256)


def test_there_is_no_softmax_anywhere() -> None:
    with torch.no_grad():
        program = torch.export.export(xformer.xformer(), (torch.randn(1, 3, 64, 64),))
    assert not [node for node in program.graph.nodes if "softmax" in str(node.target)]


@torch.no_grad()
def test_the_attention_map_is_the_rank_one_product_of_the_two_scores() -> None:
    xfa = seeded(CrossFeatureAttention(24))
    assert isinstance(xfa, CrossFeatureAttention)
    x = torch.randn(1, 10, 24)
    q, k, v = xfa.qkv(x)[0].split(96, dim=-1)
    q, k = q / q.norm(dim=-1, keepdim=True), k / k.norm(dim=-1, keepdim=True)  # along the features
    assert xfa.feature.bias is not None
    context = xfa.context(k)  # (N, 1)
    padded = torch.nn.functional.pad(k, (0, 0, 1, 1))  # kernel 3 along the tokens
    weight = xfa.feature.weight[:, 0]  # (96, 3)
    convolved = sum(padded[i : i + 10] * weight[:, i] for i in range(3)) + xfa.feature.bias
    feature = convolved.mean(dim=0)[:, None]  # (96, 1)
    attention = xfa.temperature * feature @ (context.T @ q)  # (96, 96)
    assert torch.linalg.matrix_rank(attention) == 1
    torch.testing.assert_close(xfa(x)[0], xfa.proj(v @ attention), atol=1e-5, rtol=1e-4)


def test_the_stages_are_as_the_paper_states() -> None:
    with torch.device("meta"):
        network = xformer.xformer()
    stages = list(network.backbone.stages)
    kinds = [[type(block) for block in stage] for stage in stages]  # type: ignore[attr-defined]
    assert all(kind is MV3Block for stage in kinds[:2] for kind in stage)
    assert kinds[2:] == [[MV3Block, XFUnit]] * 3
    layers = [[m for m in stage.modules() if isinstance(m, XFLayer)] for stage in stages[2:]]
    assert [stage[0].norm1.normalized_shape for stage in layers] == [(144,), (192,), (240,)]
    assert [stage[0].mlp.fc1.out_features / stage[0].mlp.fc1.in_features for stage in layers] == [2, 2, 3]
    assert {layer.attn.proj.in_features for stage in layers for layer in stage} == {96}


def test_the_parameter_count_rounds_to_the_papers() -> None:
    assert round(named("xformer").parameters / 1e6, 1) == 5.5


def test_the_docstring_states_what_is_the_papers_and_what_is_this_projects_reading() -> None:
    text = xformer.__doc__ or ""
    assert "The paper's, as far as it could be read:" in text
    assert "This project's reading:" in text
    assert all(spec.source.reading for spec in xformer.SPECS)


@torch.no_grad()
def test_the_segmentation_network_outputs_maps_at_a_quarter_of_the_input() -> None:
    network = xformer.xformer_segmentation(num_classes=5)
    assert network(torch.randn(1, 3, 64, 128)).shape == (1, 5, 16, 32)


@pytest.mark.parametrize("size", [(4, 6), (8, 2)])
def test_unfolding_gathers_the_same_position_of_every_patch_and_folding_is_its_inverse(size: tuple[int, int]) -> None:
    h, w = size
    x = torch.arange(2 * 3 * h * w).reshape(2, 3, h, w)
    unfolded = unfold_patches(x, 2)
    assert unfolded.shape == (8, h * w // 4, 3)
    # image 1, position (row 1, column 0) inside the patch
    assert torch.equal(unfolded[4 + 2], x[1, :, 1::2, 0::2].flatten(1).T)
    assert torch.equal(fold_patches(unfolded, 2, size), x)
