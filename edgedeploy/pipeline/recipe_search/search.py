"""Which recipe to try next, until a goal is met.

1. The plain recipe.
2. What costs nothing at run time. Preparations: each is kept if it helps, or if int8 holds more layers with it. Corrected
   biases belong to the layers that are in int8: where they help, they are computed again for each set of exceptions. Then
   other observers: the best one is kept. None of them is the best for all networks.
3. The sensitivity of blocks: each is the only one in float32 once, the outermost first; the one that helps most is taken
   apart, until its parts are innermost or cheap.
4. Exceptions, those first that take away most error for an instruction, until the goal is met; then those are given back
   that it is met without.

Errors of different operators are nearly independent, so that their powers add up: what exceptions will reach together is
predicted by the sum, and then measured.

Where the plain recipe's error is as large as the signal, no single exception helps: any other block is enough to spoil the
output. Then each block is the only one in int8 instead, and its own error is what an exception takes away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgedeploy.core.parity import Parity
from edgedeploy.core.provenance import RecipeSearch, RecipeStep
from edgedeploy.core.recipe import Observer, Preparation, QuantRecipe, Scope
from edgedeploy.core.reporter import Reporter

from .blocks import BlockTree, is_within
from .costs import Costs, measured_costs

if TYPE_CHECKING:
    from .labelled import Accuracy
    from .trials import Trial, Trials

NAME = "auto"
CHEAP = 0.01  # of the plain recipe's instructions: a block that costs no more is not taken apart
SPOILT = 0.3  # of the signal's power: with more error than that, blocks are measured alone in int8
OBSERVERS = (Observer.MSE_PERCENTILE, Observer.MSE, Observer.MIN_MAX, Observer.PERCENTILE)  # that a search tries
HELPFUL = 0.02  # of the error's power: what takes away less is not worth a change


@dataclass(frozen=True)
class SearchOptions:
    """What to reach, and how hard to try.

    Attributes:
        min_sqnr_db: the goal.
        max_drop: the goal instead, where there are labelled images: how far top-1 may fall, 0 to 1.
        max_exports: artifacts that may be made to find where the error comes from; the exceptions come on top.
    """

    min_sqnr_db: float
    max_drop: float | None = None
    max_exports: int = 32

    @property
    def noise(self) -> float:
        """The goal as a share of the signal's power."""
        return float(10 ** (-self.min_sqnr_db / 10))

    def is_met(self, noise: float, accuracy: Accuracy | None) -> bool:
        """Whether a recipe with this error, as a share of the signal's power, and this accuracy reaches the goal."""
        if self.max_drop is not None:
            return accuracy is not None and accuracy.is_within(self.max_drop)
        return noise <= self.noise

    def may_be_met(self, predicted_noise: float) -> bool:
        """Whether a recipe of about this error is worth a trial; accuracy is not predicted."""
        return self.max_drop is not None or predicted_noise <= 1.2 * self.noise

    def __str__(self) -> str:
        if self.max_drop is not None:
            return f"top-1 at most {100 * self.max_drop:g} points below float's"
        return f"SQNR ≥ {self.min_sqnr_db:g} dB"


@dataclass(frozen=True)
class Found:
    """A recipe, the parity that it reached, and how it was found."""

    recipe: QuantRecipe
    parity: Parity
    record: RecipeSearch


@dataclass(frozen=True)
class Sensitivity:
    """A block that was the only one in float32, or the only one in int8.

    Attributes:
        change: what was tried.
        gain: the error's power that went away, as a share of the signal's.
        cost: the instructions that came.
    """

    block: str
    change: str
    trial: Trial
    gain: float
    cost: int

    @property
    def worth(self) -> float:
        """Error for an instruction."""
        return self.gain / self.cost


def search_recipe(trials: Trials, options: SearchOptions, reporter: Reporter) -> Found:
    """The cheapest recipe that was found to meet the goal, else the best one. Raises what lowering and running raise."""
    return _Search(trials, options, reporter).run()


def _plain(trial: Trial) -> str:
    """The plain recipe, with how many layers it leaves in float because of their weights."""
    count = len(trial.in_float)
    return f"plain, {count} layer{'s' if count > 1 else ''} in float32" if count else "plain"


def _only(block: str, recipe: QuantRecipe) -> QuantRecipe:
    """All but a block in float32, the block as the recipe has it."""
    first, *others = recipe.rules
    in_block = replace(first, scope=Scope(module=block))
    return recipe.excluding("*").with_rules(in_block, *(rule for rule in others if rule.scope.region is not None))


class _Search:
    def __init__(self, trials: Trials, options: SearchOptions, reporter: Reporter) -> None:
        self._trials, self._options, self._reporter = trials, options, reporter
        self._sensitivity: dict[str, Sensitivity] = {}
        self._costs: Costs | None = None
        self._path: list[RecipeStep] = []
        self._corrects = False  # whether corrected biases help

    def run(self) -> Found:
        with self._reporter.stage("try the plain recipe"):
            plain = self._trials(replace(self._trials.target.recipe, name=NAME))
        self._note(_plain(plain), plain)
        self._base = best = plain
        if not self._is_enough(best):
            best = self._with_preparations(best)
        if not self._is_met(best):
            best = self._with_observers(best)
        if not self._is_met(best):
            self._costs = measured_costs(self._trials, plain, self._reporter)
            self._measure_blocks(self._base)
            best = self._with_exceptions(self._base, best)
        return Found(best.recipe, best.parity, self._record(best))

    def _with_preparations(self, plain: Trial) -> Trial:
        """The recipe with those preparations that help."""
        best = plain
        for step in (step for step in Preparation if step not in plain.recipe.prepare):
            if self._is_enough(best):
                break
            with self._reporter.stage(f"try {step.value}"):
                tried = self._trials(best.recipe.preparing(step))
            is_cheaper = self._is_met(tried) and len(tried.in_float) < len(best.in_float)
            if tried.noise < (1 - HELPFUL) * best.noise or is_cheaper:
                best = tried
        self._base = self._trials(best.recipe.preparing(Preparation.CORRECT_BIAS, wanted=False))
        if self._base.noise < best.noise:  # the plain recipe has the step, and it does not help here
            best = self._base
        self._corrects = best is not self._base
        self._note_preparations(plain, best)
        return best

    def _with_observers(self, prepared: Trial) -> Trial:
        """The recipe with the observer that leaves the least error, if that is another one and it helps."""
        best = prepared
        for observer in (observer for observer in OBSERVERS if observer is not prepared.recipe.rules[0].observer):
            with self._reporter.stage(f"try observer {observer.value}"):
                best = min(best, self._trials(prepared.recipe.observing(observer)), key=lambda trial: trial.noise)
        if best.noise > (1 - HELPFUL) * prepared.noise:
            return prepared
        observer = best.recipe.rules[0].observer
        self._note(f"observer {observer.value}", best)
        self._base = best if self._base is prepared else self._trials(self._base.recipe.observing(observer))
        return best

    def _note_preparations(self, plain: Trial, last: Trial) -> None:
        """Writes the path up to a recipe without exceptions: the preparations that it has more and less."""
        self._path.clear()
        self._note(_plain(plain), plain)
        recipe = plain.recipe
        for step in (step for step in last.recipe.prepare if step not in plain.recipe.prepare):
            recipe = recipe.preparing(step)
            self._note(step.value, self._trials(recipe))
        for step in (step for step in plain.recipe.prepare if step not in last.recipe.prepare):
            recipe = recipe.preparing(step, wanted=False)
            self._note(f"without {step.value}", self._trials(recipe))

    def _measure_blocks(self, base: Trial) -> None:
        """Fills in the sensitivities, from the outermost blocks inwards."""
        operators = base.record.operators
        tree = BlockTree(operator.module for operator in operators)
        open_blocks = [""]
        while open_blocks and self._trials.count < self._options.max_exports:
            block = open_blocks.pop(0)
            for child in tree.children(block):
                if self._trials.count >= self._options.max_exports:
                    break
                found = self._measure(child, base)
                if found.gain > HELPFUL * min(1.0, base.noise) and found.cost > CHEAP * self._known_costs.plain_total:
                    open_blocks.append(child)
            open_blocks.sort(key=lambda name: -self._sensitivity[name].gain)

    def _measure(self, block: str, base: Trial) -> Sensitivity:
        if block not in self._sensitivity:
            spoilt = base.noise > SPOILT
            change = f"int8 {block}" if spoilt else f"float32 {block}"
            with self._reporter.stage(f"measure {change}"):
                trial = self._trials(_only(block, base.recipe) if spoilt else base.recipe.excluding(block))
            gain = trial.noise if spoilt else base.noise - trial.noise
            found = Sensitivity(block, change, trial, gain, self._known_costs.of(block))
            self._sensitivity[block] = found
            self._reporter.detail(f"{change}: {trial.parity.sqnr:.1f} dB, in float32 {found.cost} instructions more")
        return self._sensitivity[block]

    def _with_exceptions(self, base: Trial, best: Trial) -> Trial:
        """Adds exceptions until the goal is met, or none helps any more."""
        chosen: list[Sensitivity] = []
        of_best: list[Sensitivity] = []
        for candidate in self._candidates(base):
            if any(is_within(candidate.block, other.block) for other in chosen):
                continue
            kept = [other for other in chosen if not is_within(other.block, candidate.block)]
            tried = self._try_exceptions(base, [*kept, candidate])
            if tried.noise < best.noise:
                best, of_best = tried, [*kept, candidate]
            if best is tried or base.noise > SPOILT:
                chosen = [*kept, candidate]
            if self._is_met(best):
                break
        if self._is_met(best):
            best, of_best = self._without_needless(base, best, of_best)
        if of_best and Preparation.CORRECT_BIAS not in best.recipe.prepare:
            self._path = [step for step in self._path if step.change != Preparation.CORRECT_BIAS.value]
        for index, one in enumerate(of_best):
            self._note(f"float32 {one.block}", self._try_exceptions(base, of_best[: index + 1]), one.cost)
        return best

    def _candidates(self, base: Trial) -> Sequence[Sensitivity]:
        helpful = [found for found in self._sensitivity.values() if found.gain > HELPFUL / 10 * min(1.0, base.noise)]
        return sorted(helpful, key=lambda found: -found.worth)

    def _without_needless(self, base: Trial, best: Trial, chosen: list[Sensitivity]) -> tuple[Trial, list[Sensitivity]]:
        """Gives exceptions back, the dearest first, where the goal is met without them as far as the sums predict."""
        for one in sorted(chosen, key=lambda found: -found.cost):
            rest = [other for other in chosen if other is not one]
            if rest and self._options.may_be_met(best.noise + one.gain):
                tried = self._try_exceptions(base, rest)
                if self._is_met(tried):
                    best, chosen = tried, rest
        return best, chosen

    def _try_exceptions(self, base: Trial, exceptions: Sequence[Sensitivity]) -> Trial:
        """The recipe with these exceptions; with corrected biases if these help, and are the plain recipe's or needed."""
        blocks = [found.block for found in exceptions]
        recipe = base.recipe.excluding(*blocks)
        if self._corrects and Preparation.CORRECT_BIAS in self._trials.target.recipe.prepare:
            recipe = recipe.preparing(Preparation.CORRECT_BIAS)
        with self._reporter.stage(f"try {len(blocks)} exception{'s' if len(blocks) > 1 else ''}"):
            tried = self._trials(recipe)
            if self._corrects and tried.recipe.prepare == base.recipe.prepare and not self._is_met(tried):
                corrected = self._trials(recipe.preparing(Preparation.CORRECT_BIAS))
                tried = min(tried, corrected, key=lambda trial: trial.noise)
        return tried

    @property
    def _known_costs(self) -> Costs:
        assert self._costs is not None
        return self._costs

    def _is_met(self, trial: Trial) -> bool:
        return self._options.is_met(trial.noise, self._trials.accuracy_of(trial))

    def _is_enough(self, trial: Trial) -> bool:
        """Whether nothing cheaper is left to try: with other preparations int8 may hold more layers."""
        return self._is_met(trial) and not trial.in_float

    def _note(self, change: str, trial: Trial, cost: int = 0) -> None:
        accuracy = self._trials.accuracy_of(trial)
        of_labels = () if accuracy is None else (accuracy.value, accuracy.drop, accuracy.drop_error)
        self._path.append(RecipeStep(change, trial.parity.sqnr_db, cost, *of_labels))

    def _record(self, best: Trial) -> RecipeSearch:
        helpful = [found for found in self._sensitivity.values() if found.gain > HELPFUL * min(1.0, self._base.noise)]
        ordered = sorted(helpful, key=lambda found: -found.gain)
        return RecipeSearch(
            goal=str(self._options),
            met=self._is_met(best),
            path=tuple(self._path),
            base_sqnr_db=self._base.parity.sqnr_db,
            sensitivity=tuple(RecipeStep(found.change, found.trial.parity.sqnr_db, found.cost) for found in ordered),
            costs=self._costs.source if self._costs else "",
            plain_instructions=self._costs.plain_total if self._costs else 0,
            exports=self._trials.count,
        )
