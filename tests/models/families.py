"""The zoo's variants as the tests take them: a family that is in the zoo is tested by being there."""

from __future__ import annotations

from edgedeploy.core.spec import ModelSpec
from edgedeploy.models.zoo import ZOO

SPECS: tuple[ModelSpec, ...] = tuple(ZOO)
FAMILIES: tuple[str, ...] = tuple(dict.fromkeys(spec.family for spec in SPECS))
SMALLEST: tuple[ModelSpec, ...] = tuple(
    min((spec for spec in SPECS if spec.family == family), key=lambda spec: spec.macs or 0) for family in FAMILIES
)
CLASSIFIERS = tuple(spec for spec in SPECS if spec.task == "classification")


def reference_name(spec: ModelSpec) -> str:
    """The variant's name in tests/data/reference."""
    return spec.name.replace("-", "_")


def named(name: str) -> ModelSpec:
    """A variant by its name."""
    return ZOO[name]
