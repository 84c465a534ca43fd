"""The ratios that the project promises, from the outcomes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .cells import PROMISED, Cell, Outcome, Outcomes, Side

# at least, the geometric mean over PROMISED
MINIMA: Mapping[str, Mapping[str, float]] = {
    "own fp32 / own int8": {"tflite": 2.5, "executorch": 2.1, "onnx": 2.3},
    "naive int8 / own int8": {"tflite": 2.2, "executorch": 1.6, "onnx": 1.3},
    "naive fp32 / own fp32": {"tflite": 1.25, "executorch": 1.25, "onnx": 1.05},
}
# at most: the cheapest own int8 over MACs / 16
LIMITS: Mapping[str, float] = {
    "topformer-tiny": 3.8,
    "edgenext-xx-small": 3.0,
    "edgevit-xxs": 2.6,
    "conv2former-n": 2.2,
    "mobilenetv2-100": 2.6,
    "xformer": 4.0,
    "swin-tiny": 3.0,
}

Figure = Callable[[Outcome], float | None]


def instructions(outcome: Outcome) -> float | None:
    """Executed Arm instructions."""
    return outcome.instructions


def latency(outcome: Outcome) -> float | None:
    """Wall time here, in ns."""
    return outcome.latency_ns


@dataclass(frozen=True)
class Table:
    """Outcomes by network, backend, number format and side; other forms and left-out rewrites are not among them."""

    outcomes: Outcomes

    def outcome(self, model: str, backend: str, format: str, side: Side) -> Outcome | None:
        """None where the cell was not filled yet."""
        wanted = (model, f"{backend}-{format}", side)
        for cell, outcome in self.outcomes.items():
            if (cell.model, cell.target, cell.side) == wanted and is_plain(cell):
                return outcome
        return None

    def outcome_of(self, model: str, backend: str, path: str) -> Outcome | None:
        """The outcome of "own int8" or "naive fp32"."""
        side, _, format = path.partition(" ")
        return self.outcome(model, backend, format, "own" if side == "own" else "naive")

    def figure(self, model: str, backend: str, path: str, figure: Figure) -> float | None:
        """A figure of a path. A naive int8 path that fails counts as naive fp32."""
        outcome = self.outcome_of(model, backend, path)
        if outcome is not None and outcome.error:
            return self.figure(model, backend, "naive fp32", figure) if path == "naive int8" else None
        return None if outcome is None else figure(outcome)

    def ratio(self, model: str, backend: str, name: str, figure: Figure) -> float | None:
        """ "naive int8 / own int8" of one network; None where one of the two is not there."""
        above, _, below = name.partition(" / ")
        first, second = (self.figure(model, backend, path, figure) for path in (above, below))
        return first / second if first and second else None

    def mean_ratio(self, backend: str, name: str, figure: Figure) -> tuple[float | None, int]:
        """The geometric mean over those of PROMISED that have both figures, and how many they are."""
        ratios = [ratio for model in PROMISED if (ratio := self.ratio(model, backend, name, figure)) is not None]
        return geometric_mean(ratios), len(ratios)

    def best_over_bound(self, model: str, backends: Sequence[str]) -> tuple[float, str] | None:
        """The cheapest own int8 of a network over its bound, and its backend; None where there is none yet."""
        found = [(backend, self.outcome(model, backend, "int8", "own")) for backend in backends]
        ratios = [(o.instructions / o.bound, b) for b, o in found if o and o.instructions and o.bound]
        return min(ratios, default=None)


def is_plain(cell: Cell) -> bool:
    """A cell of the comparison itself."""
    return not cell.form and not cell.without


def geometric_mean(values: Sequence[float]) -> float | None:
    """None for no values."""
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None
