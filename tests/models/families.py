"""The variants whose definitions are tested here, straight from the family files."""

from __future__ import annotations

from edgedeploy.core.spec import ModelSpec
from edgedeploy.models import conv2former, edgenext, edgevit, mobilenetv2, mobilenetv3, mobilevit, swin, xformer

FAMILIES = (edgenext, edgevit, conv2former, xformer, mobilenetv2, mobilenetv3, mobilevit, swin)
SPECS: tuple[ModelSpec, ...] = tuple(spec for family in FAMILIES for spec in family.SPECS)
SMALLEST: tuple[ModelSpec, ...] = tuple(min(family.SPECS, key=lambda spec: spec.macs or 0) for family in FAMILIES)
CLASSIFIERS = tuple(spec for spec in SPECS if spec.task == "classification")


def reference_name(spec: ModelSpec) -> str:
    """The variant's name in tests/data/reference."""
    return spec.name.replace("-", "_")


def named(name: str) -> ModelSpec:
    """A variant by its name."""
    return next(spec for spec in SPECS if spec.name == name)
