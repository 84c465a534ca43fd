"""Two artifacts that were measured in turns on one device, and what that says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .comparison import counted

INTERLEAVED = "interleaved"  # the protocol of the rows of both
PairedVerdict = Literal["faster", "same", "slower", "not trustworthy"]


@dataclass(frozen=True)
class Canary:
    """What the canary, a small artifact that never changes, says about the machine.

    Attributes:
        medians_ns: of each of its launches: one before the first block, one after each.
        drift: relative change from the first to the last, where there is a trend; else 0.
        spread: from the tenth to the ninetieth percentile of the medians, relative.
        moved_blocks: numbers, from 0, of the blocks before and after which it differs by more than 5 %.
    """

    medians_ns: tuple[int, ...]
    drift: float
    spread: float
    moved_blocks: tuple[int, ...]


@dataclass(frozen=True)
class PairedFigure:
    """How one figure changed from base to head, within the blocks.

    Attributes:
        metric: "p10", the tenth percentile of a launch, which other load on the machine hardly reaches, or "median".
        base_ns, head_ns: of each block's launch.
        change: relative, of head to base: the Hodges-Lehmann estimate.
        low, high: its 95 % interval, from the signed ranks; None with too few blocks.
        p_value: exact, of the signed-rank test.
        smallest_change: the smallest change that so many blocks would have shown, 95 times in 100.
    """

    metric: str
    base_ns: tuple[int, ...]
    head_ns: tuple[int, ...]
    change: float
    low: float | None
    high: float | None
    p_value: float
    smallest_change: float

    @property
    def text(self) -> str:
        """The change in words, with its interval."""
        interval = "" if self.low is None or self.high is None else f" ({self.low:+.1%} to {self.high:+.1%})"
        return f"{self.metric} {self.change:+.1%}{interval}, p = {self.p_value:.2g}"


@dataclass(frozen=True)
class PairedComparison:
    """Two artifacts, base and head, that were launched in turns: in each block both once, in random order.

    Attributes:
        base, head: "model/target", and the artifact's folder.
        reason: why the verdict is "not trustworthy", and what to do; else "".
        figures: what changed by how much; the verdict stands on all of them.
        false_alarm_rate, margin: as the verdict was made with.
        seed: of the order; `head_first` has it for each block.
        causes: operators, rewrites and versions that differ, where the verdict is "slower" or "faster".
    """

    base: str
    head: str
    threads: int
    verdict: PairedVerdict
    reason: str
    figures: tuple[PairedFigure, ...]
    false_alarm_rate: float
    margin: float
    seed: int
    head_first: tuple[bool, ...]
    canary: Canary
    causes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What was found, in one line: the verdict, the figures and how sure they are, and why it is not trustworthy."""
        parts = [self.verdict, *(figure.text for figure in self.figures), self.reason]
        threads, found = counted(self.threads, "thread"), "; ".join(part for part in parts if part)
        return f"{self.head} against {self.base}, {threads}, in turns: {found}"

    def figure(self, metric: str) -> PairedFigure:
        """The figure of this name."""
        return next(found for found in self.figures if found.metric == metric)
