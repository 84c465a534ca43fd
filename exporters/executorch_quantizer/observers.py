"""The observers of a network that torchao has prepared for calibration."""

from __future__ import annotations

from typing import Any


def observer_of(prepared: Any, node: Any, kind: type) -> Any:
    """The observer of exactly this class that a node runs; None for other nodes."""
    module = prepared.get_submodule(node.target) if node.op == "call_module" else None
    return module if type(module) is kind else None
