"""What a rewrite is, and how one is applied and proven.

A rewrite is three verbs and a promise:

    pattern(graph, node)          does it look at this operator at all?
    check(graph, node) -> plan    is it safe here? raises RewriteRefused with the reason
    rewrite(graph, node, plan)    what replaces it
    exactness                     what the outputs may differ by

`apply` runs one over a captured network and proves the result on seeded inputs. The proof is not a test of ours: it
runs at every export, on the user's network, and its largest error goes into the manifest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, fx

from edgedeploy.core.errors import RewriteMismatch, RewriteRefused

from .graph import Graph, Inputs, operator_name, where

# Class labels flip where two logits tie within float rounding; this share of flips is rounding, not a wrong rewrite.
TIED_LABELS = 1e-3
# Rewrites reorder float sums. What that costs is a few units in the last place per layer; a wrong rewrite costs a
# fraction of sigma.
FLOAT_ROUNDING = 2e-5
# A network may amplify rounding by itself. How much is measured: its inputs are moved by one unit in the last place. That
# disturbs one layer, a rewrite disturbs all of them, hence the factor.
LAYERS_DISTURBED = 30


@dataclass(frozen=True)
class Exactness:
    """What a rewrite promises.

    Attributes:
        kind: "exact" (bit for bit, or float rounding) or "approximate".
        relative_error: for real outputs, the largest error over the output's standard deviation.
        differing_share: for integer outputs (class labels), the share of values that may differ.
    """

    kind: str
    relative_error: float
    differing_share: float


EXACT = Exactness("exact", FLOAT_ROUNDING, TIED_LABELS)


class Rewrite(ABC):
    """A change to a network that keeps what it computes."""

    name: str
    why: str
    exactness: Exactness = EXACT

    @abstractmethod
    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        """Whether this operator is one that the rewrite is about."""

    @abstractmethod
    def check(self, graph: Graph, node: fx.Node) -> Any:
        """What `rewrite` needs to know; raises RewriteRefused where it would not be safe or not be worth it."""

    @abstractmethod
    def rewrite(self, graph: Graph, node: fx.Node, plan: Any) -> None:
        """Replaces the operator."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Declined:
    """A place where a rewrite did not apply, and why."""

    where: str
    operator: str
    reason: str


@dataclass(frozen=True)
class RewriteOutcome:
    """What a rewrite did to a network.

    Attributes:
        fired: how many places were rewritten.
        relative_error, differing_share: what the proof found, on real and on integer outputs.
        declined: the places where it could have applied and did not.
    """

    rewrite: str
    exactness: Exactness
    fired: int
    relative_error: float
    differing_share: float
    declined: tuple[Declined, ...]

    def to_json(self) -> dict[str, Any]:
        """As it stands in the manifest."""
        return asdict(self)


def rewrite_once(rewrite: Rewrite, module: fx.GraphModule) -> tuple[fx.GraphModule, int, tuple[Declined, ...]]:
    """The rewritten network, how many places changed, and where the rewrite declined. No proof."""
    graph, fired, declined = Graph(module), 0, []
    for node in graph.nodes():
        if node._erased or not rewrite.pattern(graph, node):
            continue
        try:
            plan = rewrite.check(graph, node)
        except RewriteRefused as refusal:
            declined.append(Declined(where(node), operator_name(node), str(refusal)))
            continue
        rewrite.rewrite(graph, node, plan)
        fired += 1
    return (graph.finish() if fired else module), fired, tuple(declined)


class RewriteVerifier:
    """Runs a network before and after each rewrite on the same inputs.

    Args:
        module: the captured network as it was.
        verification_inputs: several sets of inputs.
    """

    def __init__(self, module: fx.GraphModule, verification_inputs: Sequence[Inputs]) -> None:
        self.inputs = verification_inputs
        self.expected = [_run(module, inputs) for inputs in verification_inputs]
        # the error that rounding alone may cause in this network, over the output's deviation
        self.rounding = LAYERS_DISTURBED * max(
            (
                _relative_error(reference, moved)
                for inputs, outputs in zip(verification_inputs, self.expected, strict=True)
                for reference, moved in zip(outputs, _run(module, _moved_by_one_ulp(inputs)), strict=True)
                if reference.is_floating_point()
            ),
            default=0.0,
        )

    def errors(self, module: fx.GraphModule) -> tuple[float, float, list[list[Tensor]]]:
        """How far `module` is from the last accepted outputs: relative error, differing share, and its own outputs."""
        outputs = [_run(module, inputs) for inputs in self.inputs]
        relative = differing = 0.0
        for before, after in zip(self.expected, outputs, strict=True):
            if [(t.shape, t.dtype) for t in before] != [(t.shape, t.dtype) for t in after]:
                raise RewriteMismatch("the outputs changed in number, shape or type")
            for reference, actual in zip(before, after, strict=True):
                if reference.is_floating_point():
                    relative = max(relative, _relative_error(reference, actual))
                else:
                    differing = max(differing, float((reference != actual).double().mean()))
        return relative, differing, outputs


def apply(
    rewrites: Sequence[Rewrite], module: fx.GraphModule, verification_inputs: Sequence[Inputs]
) -> RewrittenModule:
    """Applies rewrites in order, each proven against the network before it.

    An exact rewrite that moves an output by more than its bound is a bug: RewriteMismatch names it. An approximate one
    that is too coarse for this network is left out, and the log says so.
    """
    prover = RewriteVerifier(module, verification_inputs)
    log: list[RewriteOutcome] = []
    for rewrite in rewrites:
        candidate, fired, declined = rewrite_once(rewrite, module)
        promise = rewrite.exactness
        allowed = max(promise.relative_error, prover.rounding)
        relative, differing, outputs = prover.errors(candidate) if fired else (0.0, 0.0, prover.expected)
        if relative <= allowed and differing <= promise.differing_share:
            module, prover.expected = candidate, outputs
        elif promise.kind == "approximate":  # too coarse for this network: it stays as it is
            reason = f"{differing:.1%} of the labels would differ, {promise.differing_share:.1%} is the bound"
            fired, relative, differing, declined = 0, 0.0, 0.0, (*declined, Declined("", rewrite.name, reason))
        else:
            raise RewriteMismatch(
                f"the rewrite '{rewrite.name}' changed what the network computes",
                details=[
                    f"largest error {relative:.3g} of the output's deviation, promised {allowed:.3g}",
                    f"differing labels {differing:.3g}, promised {promise.differing_share:.3g}",
                    f"it fired {fired} times",
                ],
                hint=f"--without-rewrite {rewrite.name}, and please report the network",
            )
        log.append(RewriteOutcome(rewrite.name, promise, fired, relative, differing, declined))
    return RewrittenModule(module, tuple(log), prover.rounding)


@dataclass(frozen=True)
class RewrittenModule:
    """A rewritten network, what was done to it, and the error that rounding alone may cause in it."""

    module: fx.GraphModule
    log: tuple[RewriteOutcome, ...]
    rounding: float


def _run(module: fx.GraphModule, inputs: Inputs) -> list[Tensor]:
    with torch.no_grad():
        outputs = module(*inputs)
    return [leaf for leaf in torch.utils._pytree.tree_leaves(outputs) if isinstance(leaf, Tensor)]


def _moved_by_one_ulp(inputs: Inputs) -> Inputs:
    return tuple(torch.nextafter(x, torch.full_like(x, torch.inf)) if x.is_floating_point() else x for x in inputs)


def _relative_error(reference: Tensor, actual: Tensor) -> float:
    error = (reference.double() - actual.double()).abs().max().item()
    return error / (float(reference.double().std(correction=0)) or 1.0)
