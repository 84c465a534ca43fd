"""The one list of families. A new family is its file and its line here."""

from __future__ import annotations

from edgedeploy.core.registry import Registry
from edgedeploy.core.spec import ModelSpec

from . import topformer

ZOO: Registry[ModelSpec] = Registry(
    "model",
    (*topformer.SPECS,),
    name_of=str,
    hint="`edgedeploy models` lists them",
)
