"""How rewrites are applied and verified, whatever they do."""

from __future__ import annotations

import pytest
import torch
from torch import fx, nn

from edgedeploy.core.errors import RewriteMismatch, RewriteRefused
from edgedeploy.core.provenance import Exactness
from edgedeploy.models import rewrites
from edgedeploy.models.loading.random_weights import randomize
from edgedeploy.models.rewrites.graph import Graph
from edgedeploy.models.zoo import ZOO

from .tools import operators

aten = torch.ops.aten


class ScalesByMistake(rewrites.Rewrite):
    """A wrong rewrite: relu(x) -> 1.001 relu(x)."""

    name = "scales_by_mistake"
    reason = "to be caught"

    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        return node.target == aten.relu.default

    def check(self, graph: Graph, node: fx.Node) -> None:
        return None

    def rewrite(self, graph: Graph, node: fx.Node, plan: None) -> None:
        new = graph.call(aten.relu.default, node.args[0], before=node)
        graph.replace(node, graph.call(aten.mul.Tensor, new, 1.001, before=node))


class Refuses(ScalesByMistake):
    name = "refuses"

    def check(self, graph: Graph, node: fx.Node) -> None:
        raise RewriteRefused("it is a test")


NETWORK = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
INPUTS = rewrites.seeded_inputs([(1, 3, 8, 8)], seed=0)


def test_a_captured_network_can_be_put_in_eval_mode_as_converters_do() -> None:
    captured = rewrites.capture(NETWORK, INPUTS)
    assert not captured.eval().training
    with torch.no_grad():
        assert torch.equal(captured(*INPUTS), NETWORK(*INPUTS))


def test_a_rewrite_that_changes_the_outputs_stops_everything_and_is_named() -> None:
    with pytest.raises(RewriteMismatch, match="'scales_by_mistake' changed what the network computes") as caught:
        rewrites.apply([ScalesByMistake()], rewrites.capture(NETWORK, INPUTS), [INPUTS])
    assert caught.value.exit_code == 1


def test_a_refusal_is_recorded_with_its_module_and_reason() -> None:
    done = rewrites.apply([Refuses()], rewrites.capture(NETWORK, INPUTS), [INPUTS])
    (step,) = done.outcomes
    assert step.applied == 0
    assert [(one.module, one.reason) for one in step.declined] == [("1", "it is a test")]


def test_a_networks_own_amplification_of_rounding_is_measured_not_assumed() -> None:
    class Steep(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sin(1e4 * x)

    steep = rewrites.apply([], rewrites.capture(Steep(), INPUTS), [INPUTS])
    calm = rewrites.apply([], rewrites.capture(NETWORK, INPUTS), [INPUTS])
    assert steep.rounding_error > 100 * calm.rounding_error


class Coarse(ScalesByMistake):
    """An approximate rewrite that is too coarse for the network."""

    name = "coarse"
    exactness = Exactness("approximate", relative_error=1e-6, differing_share=0.0)


def test_an_approximate_rewrite_that_is_too_coarse_is_not_applied_and_the_outcome_gives_the_reason() -> None:
    captured = rewrites.capture(NETWORK, INPUTS)
    done = rewrites.apply([Coarse()], captured, [INPUTS])
    assert done.module is captured
    assert done.outcomes[0].applied == 0
    assert "the bound" in done.outcomes[0].declined[0].reason


@pytest.mark.parametrize("name", ["topformer-tiny", "topformer-tiny-cls"])
def test_all_rewrites_together_keep_a_whole_network(name: str) -> None:
    spec = ZOO[name]
    size = (1, 3, 160, 160)  # 5 positions at stride 32: pooling to 3 does not divide
    inputs = rewrites.seeded_inputs([size], seed=0)
    network = randomize(spec, seed=0)
    done = rewrites.apply(list(rewrites.ALL), rewrites.capture(network, inputs), [inputs])
    left = operators(done.module)
    assert left["aten.batch_norm"] == left["aten.adaptive_avg_pool2d"] == left["aten.hardsigmoid"] == 0
    unseen = rewrites.seeded_inputs([size], seed=9)
    with torch.no_grad():
        expected, actual = network(*unseen), done.module(*unseen)
    assert float((expected - actual).abs().max() / expected.std()) < 1e-4


@pytest.mark.parametrize("rewrite", rewrites.ALL, ids=str)
def test_every_rewrite_has_a_name_and_a_reason(rewrite: rewrites.Rewrite) -> None:
    assert rewrite.name.isidentifier()
    assert len(rewrite.reason) > 20
    assert rewrite.exactness.kind in ("exact", "approximate")
