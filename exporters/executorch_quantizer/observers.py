"""The observers of a network that torchao has prepared for calibration."""

from __future__ import annotations

from typing import Any


def observer_of_values(prepared: Any, node: Any) -> Any:
    """The observer of an activation; None for what is none, such as a number."""
    from torchao.quantization.pt2e import MinMaxObserver

    return _observer_of(prepared, node, MinMaxObserver)


def observer_of_weights(prepared: Any, node: Any) -> Any:
    """The observer of a layer's weights; None for another node."""
    from torchao.quantization.pt2e import PerChannelMinMaxObserver

    return _observer_of(prepared, node, PerChannelMinMaxObserver)


def _observer_of(prepared: Any, node: Any, kind: type) -> Any:
    """What a node runs, if it is of exactly this class."""
    module = prepared.get_submodule(node.target) if getattr(node, "op", "") == "call_module" else None
    return module if type(module) is kind else None
