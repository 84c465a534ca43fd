"""Replaces a block that torch.export puts into a submodule, because of a `with` statement around it, by its operators."""

from __future__ import annotations

import copy
from operator import attrgetter, getitem
from typing import Any

import torch
from torch import fx

from edgedeploy.core.errors import ExportFailed

wraps = torch.ops.higher_order
_BLOCKS = (wraps.wrap_with_set_grad_enabled, wraps.wrap_with_autocast)


def inline_regions(module: fx.GraphModule) -> None:
    """Changes the module in place.

    `torch.no_grad()`, `torch.set_grad_enabled(...)` and `torch.autocast(...)` that does nothing on a CPU do not change
    what is computed; inside the submodule no rewrite and no quantizer would find the operators.

    Raises ExportFailed for an autocast that is enabled on the CPU: what is exported computes in float32.
    """
    while (node := next((n for n in module.graph.nodes if n.target in _BLOCKS), None)) is not None:
        _inline(module, node)
    module.graph.eliminate_dead_code()
    module.delete_all_unused_submodules()
    module.recompile()


def _position_of_submodule(node: fx.Node) -> int:
    """Its position among a block's arguments; the submodule's own follow."""
    if node.target == wraps.wrap_with_set_grad_enabled:
        return 1
    device, dtype, enabled = node.args[:3]
    if device == "cpu" and enabled:
        path = list(node.meta.get("nn_module_stack", {"": ("",)}).values())[-1][0].removeprefix("L['self'].")
        raise ExportFailed(
            "the network computes in lower precision inside of torch.autocast",
            details=[f"module: {path or 'the top level'}, {dtype} on the CPU"],
            hint="leave the autocast out, or disable it for the export: torch.autocast('cpu', enabled=False)",
        )
    return 4


def _inline(module: fx.GraphModule, node: fx.Node) -> None:
    position = _position_of_submodule(node)
    source = node.args[position]
    assert isinstance(source, fx.Node)
    assert isinstance(source.target, str)
    inner: fx.GraphModule = attrgetter(source.target)(module)
    arguments = iter(node.args[position + 1 :])
    values: dict[fx.Node, Any] = {}
    with module.graph.inserting_before(node):
        for one in inner.graph.nodes:
            if one.op == "placeholder":
                values[one] = next(arguments)
            elif one.op == "get_attr":
                values[one] = _moved(module, inner, one, node.name)
        results: Any = module.graph.graph_copy(inner.graph, values)
    for user in list(node.users):
        assert user.target is getitem, "a block gives back a tuple"
        user.replace_all_uses_with(results[user.args[1]])
        module.graph.erase_node(user)
    module.graph.erase_node(node)


def _moved(module: fx.GraphModule, inner: fx.GraphModule, node: fx.Node, prefix: str) -> fx.Node:
    """A submodule or tensor of the block as an attribute of the module."""
    assert isinstance(node.target, str)
    name = f"{prefix}_{node.target}".replace(".", "_")
    while hasattr(module, name):
        name += "_"
    held = attrgetter(node.target)(inner)
    if isinstance(held, torch.Tensor) and not isinstance(held, torch.nn.Parameter):
        module.register_buffer(name, held)
    else:
        setattr(module, name, held)
    moved = module.graph.get_attr(name)
    moved.meta = copy.copy(node.meta)
    return moved
