"""What a rewrite is, and how one is applied and verified.

A rewrite is three methods and a bound:

    pattern(graph, node)          whether it looks at this operator at all
    check(graph, node) -> plan    whether it is safe here; raises RewriteRefused with the reason
    rewrite(graph, node, plan)    replaces the operator
    exactness                     by how much the outputs may differ

`apply` runs rewrites over a captured network and verifies each on seeded inputs, at every export, on the user's own
network; the largest error goes into the manifest.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from edgedeploy.core.errors import RewriteMismatch, RewriteRefused
from edgedeploy.core.provenance import Declined, Exactness, RewriteOutcome

from .graph import Graph, Inputs, module_path, operator_name

# Class labels flip where two logits tie within float rounding; this share of flips is rounding, not a wrong rewrite.
TIED_LABELS = 1e-3
# Rewrites reorder float sums. That costs a few units in the last place per layer; a wrong rewrite costs a fraction of
# sigma.
FLOAT_ROUNDING = 2e-5
# A network may amplify rounding by itself. How much is measured: its inputs are moved by one unit in the last place. That
# disturbs one layer, a rewrite disturbs all of them, hence the factor.
LAYERS_DISTURBED = 30

EXACT = Exactness("exact", FLOAT_ROUNDING, TIED_LABELS)


class Rewrite(ABC):
    """A change to a network that keeps what it computes.

    Attributes:
        name: as it is listed and as `--without-rewrite` takes it.
        reason: why the rewritten form is better, in one sentence.
        exactness: by how much the outputs may differ.
    """

    name: str
    reason: str
    exactness: Exactness = EXACT

    @abstractmethod
    def pattern(self, graph: Graph, node: fx.Node) -> bool:
        """Whether the rewrite may apply to this operator; cheap."""

    @abstractmethod
    def check(self, graph: Graph, node: fx.Node) -> Any:
        """What `rewrite` needs to know. Raises RewriteRefused where the rewrite is not safe or not worth it."""

    @abstractmethod
    def rewrite(self, graph: Graph, node: fx.Node, plan: Any) -> None:
        """Replaces the operator."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class RewrittenModule:
    """A rewritten network.

    Attributes:
        outcomes: what each rewrite did, in order.
        rounding_error: the error that float rounding alone may cause in this network, over the output's deviation.
    """

    module: fx.GraphModule
    outcomes: tuple[RewriteOutcome, ...]
    rounding_error: float


def rewrite_once(rewrite: Rewrite, module: fx.GraphModule) -> tuple[fx.GraphModule, int, tuple[Declined, ...]]:
    """Applies a rewrite wherever it matches, without verification: the module, how often, and where it declined."""
    seen = Graph(module, copied=False)
    if not any(rewrite.pattern(seen, node) for node in seen.nodes()):  # a copy takes as long as all the rest
        return module, 0, ()
    graph, applied, declined = Graph(module), 0, []
    for node in graph.nodes():
        if node._erased or not rewrite.pattern(graph, node):
            continue
        try:
            plan = rewrite.check(graph, node)
        except RewriteRefused as refusal:
            declined.append(Declined(module_path(node), operator_name(node), str(refusal)))
            continue
        rewrite.rewrite(graph, node, plan)
        applied += 1
    return (graph.finish() if applied else module), applied, tuple(declined)


@dataclass(frozen=True)
class Difference:
    """How far outputs are from the expected ones.

    Attributes:
        relative_error: of real outputs, the largest error over the expected output's standard deviation.
        differing_share: of integer outputs, the largest share of values that differ.
        outputs: the outputs themselves, for each set of inputs.
    """

    relative_error: float
    differing_share: float
    outputs: list[list[Tensor]]

    def within(self, exactness: Exactness, rounding_error: float) -> bool:
        """Whether a rewrite kept its bound, in a network whose own rounding may be larger than that."""
        allowed = max(exactness.relative_error, rounding_error)
        return (
            math.isfinite(self.relative_error)
            and self.relative_error <= allowed
            and self.differing_share <= exactness.differing_share
        )


@dataclass(frozen=True)
class _State:
    """A network, and its outputs for each set of verification inputs."""

    module: fx.GraphModule
    outputs: list[list[Tensor]]


class Rewriter:
    """Applies rewrites to one captured network, each verified on the same inputs against the network before it.

    Several lists of rewrites share the steps that they have in common: what a rewrite makes of a network is made once.

    Args:
        module: the captured network.
        verification_inputs: several sets of inputs.
    """

    def __init__(self, module: fx.GraphModule, verification_inputs: Sequence[Inputs]) -> None:
        self.verification_inputs = verification_inputs
        self._start = _State(module, [_run(module, inputs) for inputs in verification_inputs])
        self._steps: dict[tuple[fx.GraphModule, str], tuple[_State, RewriteOutcome]] = {}
        self.rounding_error = LAYERS_DISTURBED * max(
            (
                _relative_error(reference, moved)
                for inputs, outputs in zip(verification_inputs, self._start.outputs, strict=True)
                for reference, moved in zip(outputs, _run(module, _moved_by_one_ulp(inputs)), strict=True)
                if reference.is_floating_point()
            ),
            default=0.0,
        )

    def apply(self, rewrites: Sequence[Rewrite]) -> RewrittenModule:
        """Applies rewrites in order.

        An exact rewrite that moves an output by more than its bound is a bug: RewriteMismatch names it. An approximate
        one that is too coarse for this network is not applied, and its outcome gives the reason.
        """
        state, outcomes = self._start, []
        for rewrite in rewrites:
            step = state.module, rewrite.name
            if step not in self._steps:
                self._steps[step] = self._apply_one(rewrite, state)
            state, outcome = self._steps[step]
            outcomes.append(outcome)
        return RewrittenModule(state.module, tuple(outcomes), self.rounding_error)

    def difference(self, module: fx.GraphModule) -> Difference:
        """How far a network is from the captured one. Raises RewriteMismatch where the outputs have another form."""
        return self._compare(module, self._start)

    def _apply_one(self, rewrite: Rewrite, state: _State) -> tuple[_State, RewriteOutcome]:
        candidate, applied, declined = rewrite_once(rewrite, state.module)
        bound = rewrite.exactness
        difference = self._compare(candidate, state) if applied else Difference(0.0, 0.0, state.outputs)
        relative, differing = difference.relative_error, difference.differing_share
        if difference.within(bound, self.rounding_error):
            state = _State(candidate, difference.outputs)
        elif bound.kind == "approximate":
            reason = (
                f"outputs would differ by {relative:.1g} σ and {differing:.1%} of the "
                f"labels, {bound.relative_error:.1g} σ and {bound.differing_share:.1%} are the bound"
            )
            applied, relative, differing = 0, 0.0, 0.0
            declined = (*declined, Declined("", rewrite.name, reason))
        else:
            raise _mismatch(rewrite, difference, applied, self.rounding_error)
        return state, RewriteOutcome(rewrite.name, bound, applied, relative, differing, declined)

    def _compare(self, module: fx.GraphModule, before: _State) -> Difference:
        """Runs `module`. Raises RewriteMismatch where its outputs have another number, shape or type than before."""
        outputs = [_run(module, inputs) for inputs in self.verification_inputs]
        relative = differing = 0.0
        for expected, after in zip(before.outputs, outputs, strict=True):
            if [(t.shape, t.dtype) for t in expected] != [(t.shape, t.dtype) for t in after]:
                raise RewriteMismatch("the outputs changed in number, shape or type")
            for reference, actual in zip(expected, after, strict=True):
                if reference.is_floating_point():
                    relative = max(relative, _relative_error(reference, actual))
                else:
                    differing = max(differing, float((reference != actual).double().mean()))
        return Difference(relative, differing, outputs)


def apply(
    rewrites: Sequence[Rewrite], module: fx.GraphModule, verification_inputs: Sequence[Inputs]
) -> RewrittenModule:
    """Applies one list of rewrites; see Rewriter."""
    return Rewriter(module, verification_inputs).apply(rewrites)


def _mismatch(rewrite: Rewrite, difference: Difference, applied: int, rounding_error: float) -> RewriteMismatch:
    bound = rewrite.exactness
    return RewriteMismatch(
        f"the rewrite '{rewrite.name}' changed what the network computes",
        details=[
            f"largest error {difference.relative_error:.3g} of the output's deviation, "
            f"bound {max(bound.relative_error, rounding_error):.3g}",
            f"differing labels {difference.differing_share:.3g}, bound {bound.differing_share:.3g}",
            f"it was applied {applied} times",
        ],
        hint=f"--without-rewrite {rewrite.name}, and please report the network",
    )


def _run(module: fx.GraphModule, inputs: Inputs) -> list[Tensor]:
    with torch.no_grad():
        outputs = module(*(x.clone() for x in inputs))  # it may change them in place
    return [leaf for leaf in torch.utils._pytree.tree_leaves(outputs) if isinstance(leaf, Tensor)]


def _moved_by_one_ulp(inputs: Inputs) -> Inputs:
    return tuple(torch.nextafter(x, torch.full_like(x, torch.inf)) if x.is_floating_point() else x for x in inputs)


def _relative_error(reference: Tensor, actual: Tensor) -> float:
    error = (reference.double() - actual.double()).abs().max().item()
    if not math.isfinite(error):  # NaN compares as neither more nor less than a bound
        return math.inf
    return error / (float(reference.double().std(correction=0)) or 1.0)
