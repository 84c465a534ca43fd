"""What is found out about the operators of a file, beside a float network."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class LayerError:
    """An operator whose output is also a tensor of the float network.

    All errors are over the float network's tensor. A signal to noise ratio of None is infinite: the two are equal.

    Attributes:
        name, type, module: of the operator in the file.
        reference: the float network's name of the tensor.
        own_sqnr_db: of what the operator makes of the float network's inputs.
        own_channel_sqnr_db: the same in the worst channel, over the power of the whole tensor, without what is clipped.
        own_error: the largest own error in standard deviations σ of the tensor.
        inherited_sqnr_db: of what the errors of its inputs alone change in its output.
        total_sqnr_db: of its output in the file, which has both errors.
        low, high: the float network's smallest and largest value.
        limit_low, limit_high: what the file's tensor can hold; None for float.
        clipped: share of the float network's values that lie outside of these limits.
        before: operators between this one and those whose outputs were compared last; their errors are in this one's.
        parts: the artifact and the float network part here.
    """

    name: str
    type: str
    module: str
    reference: str
    own_sqnr_db: float | None
    own_channel_sqnr_db: float | None
    own_error: float
    inherited_sqnr_db: float | None
    total_sqnr_db: float | None
    low: float
    high: float
    limit_low: float | None = None
    limit_high: float | None = None
    clipped: float = 0.0
    before: tuple[str, ...] = ()
    parts: bool = False

    @property
    def where(self) -> str:
        """The operator in words."""
        return f"{self.type} at {self.module or self.name}"


@dataclass(frozen=True)
class LayerReport:
    """An artifact beside a float network, operator by operator.

    Attributes:
        artifact, reference: as they are called.
        runtime: that ran the operators.
        layers: in the file's order.
        without_counterpart: operators whose output is no tensor of the float network.
        not_trusted: operators that are left out of `layers`: it cannot be told which tensor of the float network their
            output is, if any.
        whole_sqnr_db: of the whole file's output against that of its operators one by one; None where equal.
        note: what a reader must know, or "".
    """

    artifact: str
    reference: str
    runtime: str
    layers: tuple[LayerError, ...]
    without_counterpart: int
    not_trusted: int = 0
    whole_sqnr_db: float | None = None
    note: str = ""

    @property
    def first(self) -> LayerError | None:
        """Where the two part first; None where no single operator stands out."""
        return next((layer for layer in self.layers if layer.parts), None)


def first_line(report: LayerReport) -> str:
    """Where the two part first, in a line."""
    found = report.first
    if found is not None:
        behind = f", or {', '.join(found.before)} before it" if found.before else ""
        clipped = f", {found.clipped:.1%} of its values do not fit its range" if found.clipped > 0.001 else ""
        return (
            f"they part at {found.where}{behind}: with exact inputs its SQNR is {_decibel(found.own_sqnr_db)}, "
            f"its largest error {found.own_error:.2g} σ{clipped}"
        )
    if not report.layers:
        return "no operator has a counterpart in the float network"
    worst = min(report.layers, key=lambda layer: math.inf if layer.own_sqnr_db is None else layer.own_sqnr_db)
    return (
        f"no operator stands out; the largest own error is that of {worst.where}: "
        f"its SQNR with exact inputs is {_decibel(worst.own_sqnr_db)}"
    )


def _decibel(value: float | None) -> str:
    return "infinite" if value is None else f"{value:.1f} dB"
