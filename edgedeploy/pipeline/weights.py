"""weights: where the official weights of a model of the zoo are, and what was published for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgedeploy.models.loading.official_weights import OfficialWeights as OfficialWeights


def find_weights(model: str) -> OfficialWeights:
    """What is known about the official weights of a model of the zoo. Raises UnknownName."""
    from edgedeploy.models.loading.official_weights import official_weights

    return official_weights(model)
