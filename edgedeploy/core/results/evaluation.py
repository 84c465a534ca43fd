"""Evaluation: what a network reaches on labelled data, in its real runtime, beside the float network."""

from __future__ import annotations

from dataclasses import dataclass

from edgedeploy.core.provenance import SkippedImage


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Score:
    """One metric over all images that were scored.

    Attributes:
        metric: "top1", "top5", "miou", "pixel_accuracy" or "agreement", as shares of 1; or the user's own function.
        value: of the artifact; of the float network where that was evaluated alone.
        float_value: of the eager float network on the same images; None where it was not run, or for "agreement".
        difference: value - float_value. Its interval is paired: both networks saw the same images.
    """

    metric: str
    value: Estimate
    float_value: Estimate | None = None
    difference: Estimate | None = None


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of one network on one data set.

    Attributes:
        model: the network's name.
        target: of the artifact; "" for the float network alone.
        artifact_sha256: of the artifact's file, or of the float network's weights.
        data: the folder, as the user named it.
        data_sha256: of the names and sizes of its files and of the labels.
        layout: "class folders", "masks", "ADE20K", "Cityscapes" or "unlabelled".
        device: where the artifact ran, or "float" for the eager network.
        runtime: with its version.
        images: how many were scored.
        skipped: damaged images and masks, which are in no figure.
        scores: the first is the main one.
        evaluated_at: UTC, ISO 8601.
        limit: at most this many images were asked for, evenly over the classes; None for all.
    """

    model: str
    target: str
    artifact_sha256: str
    data: str
    data_sha256: str
    layout: str
    device: str
    runtime: str
    images: int
    skipped: tuple[SkippedImage, ...]
    scores: tuple[Score, ...]
    evaluated_at: str
    limit: int | None = None

    @property
    def main_score(self) -> Score:
        """The figure that stands for the evaluation."""
        return self.scores[0]

    @property
    def kind(self) -> tuple[str, str, int | None, str]:
        """What a newer evaluation must have in common with this one to take its place."""
        return self.data_sha256, self.device, self.limit, self.main_score.metric
