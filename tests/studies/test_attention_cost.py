"""The comparison of attention costs: its table with made-up figures, and its child process."""

from __future__ import annotations

import pytest
import torch

from edgedeploy.core.errors import RunnerFailed
from edgedeploy.studies.attention_cost import AttentionRun
from edgedeploy.studies.attention_cost.__main__ import BLOCKS, compare, in_a_process, table
from edgedeploy.studies.attention_cost.worker import SEQUENCES, SoftmaxAttention, block, measure


def test_the_layers_take_turns_and_the_table_shows_medians_ratios_and_growth() -> None:
    asked: list[tuple[str, int]] = []

    def fake(name: str, side: int) -> AttentionRun:
        asked.append((name, side))
        tokens = side * side // 64
        ms = tokens / 1024 if name == "cross-feature" else (tokens / 1024) ** 2
        return AttentionRun(tokens, (int(ms * 1e6),) * 3, tokens * 1024)

    text = table(compare(fake, sides=(256, 512), rounds=2))
    assert asked[:3] == [(name, 256) for name in BLOCKS]
    assert asked[6:] == asked[:6]
    assert "| 256x256 | 1,024 | 1.00 | 1.00 | 1.00 | 1.00x | 1.00x | 1.0 | 1.0 | 1.0 |" in text
    assert "| 512x512 | 4,096 | 4.00 | 16.00 | 16.00 | 4.00x | 4.00x | 4.0 | 4.0 | 4.0 |" in text
    assert "tokens 4.0x; time of cross-feature 4.0x, softmax 16.0x, fused 16.0x" in text


def test_the_two_softmax_layers_compute_the_same() -> None:
    spelled, fused = SoftmaxAttention(16, fused=False).eval(), SoftmaxAttention(16, fused=True).eval()
    fused.load_state_dict(spelled.state_dict())
    x = torch.randn(2, 10, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(spelled(x), fused(x), atol=1e-6)


def test_all_layers_have_the_same_projections() -> None:
    shapes = [{n: tuple(p.shape) for n, p in block(name).named_parameters() if n[0] in "qp"} for name in BLOCKS]
    assert shapes[0] == shapes[1] == shapes[2]


def test_a_measurement_counts_the_tokens_of_the_image() -> None:
    run = measure("cross-feature", 64)
    assert run.tokens == SEQUENCES * 16
    assert len(run.samples_ns) >= 5


def test_a_child_that_fails_is_named() -> None:
    with pytest.raises(RunnerFailed, match="cross-feature at 0x0"):
        in_a_process("cross-feature", 0)
