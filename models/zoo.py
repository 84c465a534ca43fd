"""The one list of families. A new family is its file and its line here."""

from __future__ import annotations

from edgedeploy.core.registry import Registry
from edgedeploy.core.spec import ModelSpec

from . import conv2former, edgenext, edgevit, mobilenetv2, mobilenetv3, mobilevit, swin, topformer, xformer

ZOO: Registry[ModelSpec] = Registry(
    "model",
    (
        *topformer.SPECS,
        *edgenext.SPECS,
        *edgevit.SPECS,
        *conv2former.SPECS,
        *xformer.SPECS,
        *mobilenetv2.SPECS,
        *mobilenetv3.SPECS,
        *mobilevit.SPECS,
        *swin.SPECS,
    ),
    name_of=str,
    hint="`edgedeploy models` lists them",
)
