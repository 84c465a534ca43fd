"""Where the operators of a captured network come from in the original one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import fx


def module_path(node: fx.Node) -> str:
    """The path of the innermost module that a node was traced in, such as "backbone.tpm.stem.0.bn".

    "" at the top level and for nodes without an `nn_module_stack`. torch.export records the stack and its passes keep it;
    an operator that a rewrite or a decomposition made has the path of one that it stands for.
    """
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return str(stack[-1][0]) if stack else ""
