"""Where a network's official weights are, and from `--weights` to a file on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from edgedeploy.core.errors import UsageError
from edgedeploy.core.reporter import Reporter
from edgedeploy.core.spec import Preprocessing
from edgedeploy.models.published import Published, published_for

from .downloads import download, is_address
from .names import ModelName

if TYPE_CHECKING:
    from edgedeploy.core.spec import ModelSpec

OFFICIAL = "official"
# Addresses that give a page for a person to click through, not the file.
PAGES = {"drive.google.com": "Google Drive", "pan.baidu.com": "Baidu", "1drv.ms": "OneDrive"}


def weights_file(weights: str | Path | None, model: ModelName, reporter: Reporter | None = None) -> Path | None:
    """The checkpoint on this machine that `--weights` stands for; None for none, and where a library fetches its own.

    Args:
        weights: a file, an address, "official", or None.

    Raises UsageError and WeightsInvalid, as `download` does.
    """
    if weights is None or isinstance(weights, Path):
        return weights
    if weights == OFFICIAL:
        if model.kind == "library":
            return None
        if model.kind != "zoo":
            raise UsageError(f"{model.text} has no official weights that are known", hint="--weights FILE or URL")
        from edgedeploy.models.zoo import ZOO

        return _official(ZOO[model.source], reporter)
    if is_address(weights):
        _refuse_page(weights, model.text)
        return download(weights, reporter=reporter, check=_check_checkpoint)
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
    return download(address, reporter=reporter, check=_check_checkpoint)


def _check_checkpoint(path: Path, name: str) -> None:
    """Raises WeightsInvalid for a file without weights, which must not be pinned: it would keep the right one out."""
    from .checkpoints import load_checkpoint

    load_checkpoint(path, Path(name).suffix)


def page_of(address: str) -> str | None:
    """The owner of the web page that this address is, where a person must open it in a browser; else None."""
    host = (urlsplit(address).hostname or "").lower()
    return next((name for known, name in PAGES.items() if host == known or host.endswith(f".{known}")), None)


def _refuse_page(address: str, model: str) -> None:
    page = page_of(address)
    if page:
        raise UsageError(
            f"the weights of {model} are on a web page of {page}, which only a browser can open",
            details=[address],
            hint="download them there, then --weights FILE",
        )


@dataclass(frozen=True)
class OfficialWeights:
    """What is known about a zoo network's official weights, and the figures that others published for it.

    Attributes:
        address: "" where there are none to download.
        how: how to get them, in words.
        reading: this project's own reading where the paper is silent.
        num_classes, input_shape, preprocessing: of the official weights.
        published: as `published_for` orders them.
    """

    model: str
    title: str
    paper: str
    repository: str
    address: str
    how: str
    licence_weights: str
    licence_code: str
    reading: str
    num_classes: int
    input_shape: tuple[int, ...]
    preprocessing: Preprocessing
    published: tuple[Published, ...]


def official_weights(model: str) -> OfficialWeights:
    """The record of a zoo network. Raises UnknownName."""
    from edgedeploy.models.zoo import ZOO

    spec = ZOO[model]
    address = spec.source.weights_url
    if not address:
        how = "there are none to download"
    elif page := page_of(address):
        how = f"a web page of {page}: open it in a browser, then --weights FILE"
    else:
        how = "--weights official downloads it"
    return OfficialWeights(
        model=spec.name,
        title=spec.source.title,
        paper=spec.source.paper,
        repository=spec.source.repository,
        address=address,
        how=how,
        licence_weights=spec.source.licence_weights,
        licence_code=spec.source.licence_code,
        reading=spec.source.reading,
        num_classes=spec.num_classes,
        input_shape=spec.input_shape(),
        preprocessing=spec.preprocessing,
        published=published_for(spec.name),
    )
