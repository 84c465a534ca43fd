"""Regions of a graph that recipes have rules about. One search per region serves all formats.

A format lists its operator types in a RegionTypes; `find_regions` returns the region of each operator.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from edgedeploy.core.recipe import Region

from .distribution import DistributionTypes, distributions
from .division import DivisionTypes, division
from .label_selection import LabelSelectionTypes, label_selection
from .normalization import NormalizationTypes, normalization
from .operator import Operator
from .preprocessing import PreprocessingTypes, preprocessing
from .residual import ResidualTypes, residual

__all__ = [
    "DistributionTypes",
    "DivisionTypes",
    "LabelSelectionTypes",
    "NormalizationTypes",
    "Operator",
    "PreprocessingTypes",
    "RegionTypes",
    "ResidualTypes",
    "find_regions",
]


@dataclass(frozen=True)
class RegionTypes:
    """How one format names the operators that regions are made of.

    Attributes:
        pads: operators that are in float where all their neighbours are, whatever rule is about them.
    """

    normalization: NormalizationTypes
    label_selection: LabelSelectionTypes
    division: DivisionTypes
    distribution: DistributionTypes
    residual: ResidualTypes
    preprocessing: PreprocessingTypes
    pads: tuple[str, ...]


def find_regions(operators: Sequence[Operator], types: RegionTypes) -> dict[Hashable, Region]:
    """The region of each operator that is in one, by its key.

    Label selection comes first and wins where the two overlap; within a region the graph's order is kept.

    Args:
        operators: the graph, in an order in which it can run.
    """
    regions = dict.fromkeys(label_selection(operators, types.label_selection), Region.LABEL_SELECTION)
    norms = normalization(operators, types.normalization)
    for key in norms:
        regions.setdefault(key, Region.NORMALIZATION)
    for key in division(operators, types.division):
        regions.setdefault(key, Region.DIVISION)
    for key in distributions(operators, types.distribution):
        regions.setdefault(key, Region.DISTRIBUTION)
    for key in residual(operators, types.residual, norms):
        regions.setdefault(key, Region.RESIDUAL)
    for key in preprocessing(operators, types.preprocessing):
        regions.setdefault(key, Region.PREPROCESSING)
    return regions
