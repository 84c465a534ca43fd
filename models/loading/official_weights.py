"""The checkpoint door: where a network's official weights are, and from `--weights` to a file on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from edgedeploy.core.errors import UsageError
from edgedeploy.core.reporter import Reporter

from .downloads import download, is_address
from .factories import LIBRARIES, is_users

if TYPE_CHECKING:
    from edgedeploy.core.spec import ModelSpec

OFFICIAL = "official"
# Addresses that give a page for a person to click through, not the file.
PAGES = {"drive.google.com": "Google Drive", "pan.baidu.com": "Baidu", "1drv.ms": "OneDrive"}


def weights_file(weights: str | Path | None, model: str, reporter: Reporter | None = None) -> Path | str | None:
    """A local checkpoint for what was given after --weights; "official" stays for libraries that fetch their own.

    Raises UsageError and WeightsInvalid, as `download` does.
    """
    if weights is None or isinstance(weights, Path):
        return weights
    if weights == OFFICIAL:
        if is_users(model):
            return OFFICIAL if model.partition(":")[0] in LIBRARIES else _no_official(model)
        from edgedeploy.models.zoo import ZOO

        return _official(ZOO[model], reporter)
    if is_address(weights):
        _refuse_page(weights, model)
        return download(weights, reporter=reporter)
    return Path(weights)


def _official(spec: ModelSpec, reporter: Reporter | None) -> Path:
    address = spec.source.weights_url
    if not address:
        raise UsageError(
            f"{spec.name} has no official weights to download",
            details=[f"weights: {spec.source.licence_weights}"] if spec.source.licence_weights else [],
            hint=f"edgedeploy weights {spec.name}; --weights FILE for weights that you have",
        )
    _refuse_page(address, spec.name)
    return download(address, reporter=reporter)


def _no_official(model: str) -> str:
    raise UsageError(f"{model} has no official weights that are known here", hint="--weights FILE or URL")


def page_of(address: str) -> str | None:
    """Whose web page this address is, where it is one that a browser must open; else None."""
    host = (urlsplit(address).hostname or "").lower()
    return next((name for known, name in PAGES.items() if host == known or host.endswith(f".{known}")), None)


def _refuse_page(address: str, model: str) -> None:
    page = page_of(address)
    if page:
        raise UsageError(
            f"the weights of {model} lie on a web page of {page}, which only a browser can open",
            details=[address],
            hint="download them there, then --weights FILE",
        )


def facts(model: str) -> dict[str, Any]:
    """What is known about a zoo network's official weights, and what others published about it. Raises UnknownName."""
    from dataclasses import asdict

    from edgedeploy.models.published import published_for
    from edgedeploy.models.zoo import ZOO

    spec = ZOO[model]
    address = spec.source.weights_url
    if not address:
        how = "there are none to download"
    elif page := page_of(address):
        how = f"a web page of {page}: open it in a browser, then --weights FILE"
    else:
        how = "--weights official downloads it"
    return {
        "model": spec.name,
        "title": spec.source.title,
        "paper": spec.source.paper,
        "repository": spec.source.repository,
        "address": address,
        "how": how,
        "licence_weights": spec.source.licence_weights,
        "licence_code": spec.source.licence_code,
        "reading": spec.source.reading,
        "classes": spec.num_classes,
        "input": list(spec.input_shape()),
        "preprocessing": asdict(spec.preprocessing),
        "published": [
            {key: value for key, value in asdict(record).items() if value not in (None, False)}
            for record in published_for(spec.name)
        ],
    }
