"""weights: where the official weights of a network of the zoo are, and what was published for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgedeploy.core.spec import Preprocessing

if TYPE_CHECKING:
    from edgedeploy.models.published import Published as Published


@dataclass(frozen=True)
class OfficialWeights:
    """The official weights of one network.

    Attributes:
        title, paper, repository: of the publication.
        url: of the file, or of the page that leads to it; "" where there is none.
        how: how to get them.
        reading: what is this project's own reading of the paper, where it is silent.
        num_classes, input_shape, preprocessing: what they were trained for.
        published: what others published for them, the authors' own accuracy first.
    """

    model: str
    title: str
    paper: str
    repository: str
    url: str
    how: str
    licence_weights: str
    licence_code: str
    reading: str
    num_classes: int
    input_shape: tuple[int, ...]
    preprocessing: Preprocessing
    published: tuple[Published, ...]


def official_weights(model: str) -> OfficialWeights:
    """What is known about the official weights of a network of the zoo. Raises UnknownName."""
    from edgedeploy.models.loading.official_weights import facts
    from edgedeploy.models.published import published_for
    from edgedeploy.models.zoo import ZOO

    spec, known = ZOO[model], facts(model)
    return OfficialWeights(
        model=spec.name,
        title=spec.source.title,
        paper=spec.source.paper,
        repository=spec.source.repository,
        url=spec.source.weights_url,
        how=known["how"],
        licence_weights=spec.source.licence_weights,
        licence_code=spec.source.licence_code,
        reading=spec.source.reading,
        num_classes=spec.num_classes,
        input_shape=spec.input_shape(),
        preprocessing=spec.preprocessing,
        published=published_for(spec.name),
    )
