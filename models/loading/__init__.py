"""Loading networks: from what a person types to a module with its weights."""

from __future__ import annotations

from .networks import (
    LoadOptions,
    Network,
    create_model,
    load_network,
    with_features,
    with_random_weights_settled,
)

__all__ = [
    "LoadOptions",
    "Network",
    "create_model",
    "load_network",
    "with_features",
    "with_random_weights_settled",
]
