"""The list of all families. A new family is a file beside this one and a line here."""

from __future__ import annotations

from importlib import import_module

from edgedeploy.core.registry import Registry
from edgedeploy.core.spec import ModelSpec

# each is a file beside this one, with its variants in SPECS
FAMILIES = (
    "topformer",
    "edgenext",
    "edgevit",
    "conv2former",
    "xformer",
    "mobilenetv2",
    "mobilenetv3",
    "mobilevit",
    "swin",
)

ZOO: Registry[ModelSpec] = Registry(
    "model",
    (spec for family in FAMILIES for spec in import_module(f".{family}", __package__).SPECS),
    name_of=str,
    hint="`edgedeploy models` lists them",
)
