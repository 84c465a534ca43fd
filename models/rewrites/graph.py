"""A captured network: a graph of aten operators in which every value has a known shape.

`capture` makes one from any module, so a rewrite sees the same operators whether the network is of the zoo, the user's or
read from a `.pt2` file. `Graph` wraps it with the few methods that rewrites need. The captured module never changes:
parameters are shared and never written to, new constants are added beside them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._subclasses.fake_tensor import FakeTensor

from .regions import inline_regions

Inputs = tuple[Tensor, ...]
REWRITTEN = "edgedeploy.Rewritten"
PADS = (torch.ops.aten.pad.default, torch.ops.aten.constant_pad_nd.default)


def capture(module: nn.Module, example_inputs: Inputs) -> fx.GraphModule:
    """The module as a graph of aten operators, for exactly these input shapes, in eval mode.

    Raises whatever torch.export raises where the module cannot be captured.
    """
    program = torch.export.export(module, example_inputs, strict=False)
    captured = unlifted(program)
    inline_regions(captured)
    for node in list(captured.graph.nodes):  # run-time checks of what is fixed by the capture
        if node.target == torch.ops.aten._assert_tensor_metadata.default:
            captured.graph.erase_node(node)
    captured.recompile()
    if inner := getattr(module, "adapts", ""):
        _without_adapter(captured.graph, inner)
    return captured


def _without_adapter(graph: fx.Graph, inner: str) -> None:
    """Gives modules the paths that they have in the network that an adapter holds, which are those that a person knows."""
    for node in graph.nodes:
        stack = node.meta.get("nn_module_stack")
        if stack:
            paths = {key: path.removeprefix("L['self'].") for key, (path, _) in stack.items()}
            node.meta["nn_module_stack"] = {
                key: ("" if paths[key] == inner else paths[key].removeprefix(f"{inner}."), kind)
                for key, (_, kind) in stack.items()
            }


def unlifted(program: torch.export.ExportedProgram) -> fx.GraphModule:
    """An exported program as a module whose parameters are attributes. No guards: shapes are fixed and checked outside."""
    held = program.module(check_guards=False)
    assert isinstance(held, fx.GraphModule)
    # torch's own class refuses eval(), which converters call
    module = fx.GraphModule(held, held.graph, class_name="CapturedNetwork")
    module.graph.set_codegen(held.graph._codegen)
    module.recompile()
    return module.eval()


class Graph:
    """A captured network that is being rewritten.

    Args:
        module: a captured network; it is copied, tensors are shared.
        copied: False for a graph that is only looked at.
    """

    def __init__(self, module: fx.GraphModule, *, copied: bool = True) -> None:
        self.module = _copy_sharing_tensors(module) if copied else module
        self.graph = self.module.graph
        self._count = 0

    def nodes(self, *targets: Callable[..., Any]) -> Iterator[fx.Node]:
        """The operator calls of these targets (or all) that still exist, in order; the graph may change meanwhile."""
        for node in list(self.graph.nodes):
            if node.op == "call_function" and (not targets or node.target in targets) and not node._erased:
                yield node

    def constant(self, value: Any) -> Tensor | None:
        """The tensor behind a node that reads a parameter or buffer, else None."""
        if not isinstance(value, fx.Node) or value.op != "get_attr":
            return None
        held = _attribute(self.module, value)
        return held.detach() if isinstance(held, Tensor) else None

    def add_constant(self, tensor: Tensor, name: str, *, before: fx.Node) -> fx.Node:
        """A new buffer, readable at `before`."""
        self._count += 1
        attribute = f"_{name}_{self._count}"
        while hasattr(self.module, attribute):
            self._count += 1
            attribute = f"_{name}_{self._count}"
        # `contiguous` would keep the odd strides of a permuted (1, C, 1, 1), which ExecuTorch then reads as channels-last
        tensor = tensor.detach().clone(memory_format=torch.contiguous_format)
        self.module.register_buffer(attribute, tensor)
        with self.graph.inserting_before(before):
            node = self.graph.get_attr(attribute)
        mode = _fake_mode(self.graph)
        node.meta["val"] = mode.from_tensor(tensor) if mode else tensor.to("meta")
        return node

    def call(self, target: Callable[..., Any], *args: Any, before: fx.Node, **kwargs: Any) -> fx.Node:
        """A new operator call just before `before`, with its shape computed and its module path copied."""
        with self.graph.inserting_before(before):
            node = self.graph.call_function(target, args, kwargs)
        node.meta = {key: before.meta[key] for key in ("stack_trace",) if key in before.meta}
        if before.meta.get("nn_module_stack"):
            # the path stays and the class does not: XNNPACK's quantizer would take a mean for an AdaptiveAvgPool2d
            key, (path, _) = list(before.meta["nn_module_stack"].items())[-1]
            node.meta["nn_module_stack"] = {**before.meta["nn_module_stack"], key: (path, REWRITTEN)}
        values: Any = fx.node.map_arg((args, kwargs), lambda n: n.meta["val"])
        node.meta["val"] = target(*values[0], **values[1])
        return node

    def inline(self, function: Callable[..., Tensor], *args: fx.Node, before: fx.Node) -> fx.Node:
        """The operators that `function` runs on tensors of the arguments' shapes, inserted before `before`."""
        examples = tuple(torch.zeros(shape(arg), dtype=arg.meta["val"].dtype) for arg in args)
        piece = capture(_Function(function), examples)
        mapping: dict[fx.Node, Any] = {}
        arguments = iter(args)
        for node in piece.graph.nodes:
            if node.op == "placeholder":
                mapping[node] = next(arguments)
            elif node.op == "get_attr":
                tensor = _attribute(piece, node)
                mapping[node] = self.add_constant(tensor, "constant", before=before)
            elif node.op == "call_function":
                new_args, new_kwargs = fx.node.map_arg((node.args, node.kwargs), lambda n: mapping[n])
                mapping[node] = self.call(node.target, *new_args, before=before, **new_kwargs)
            elif node.op == "output":
                (result,) = node.args[0] if isinstance(node.args[0], tuple | list) else (node.args[0],)
                found: fx.Node = mapping[result]
                return found
        raise AssertionError("a captured graph ends with its output")

    def replace(self, old: fx.Node, new: fx.Node) -> None:
        """Makes all users of `old` read `new`, and removes `old` with all that only it needed."""
        old.replace_all_uses_with(new)
        self.erase_if_unused(old)

    def erase_if_unused(self, node: fx.Node) -> None:
        """Removes a node without users, then those of its arguments that lost their last user."""
        if node.users or node.op in ("placeholder", "output"):
            return
        arguments = list(node.all_input_nodes)
        self.graph.erase_node(node)
        for argument in arguments:
            self.erase_if_unused(argument)

    def finish(self) -> fx.GraphModule:
        """The rewritten network, checked and ready to run."""
        self.graph.lint()
        self.module.delete_all_unused_submodules()
        _drop_unread_tensors(self.module)
        self.module.recompile()
        return self.module


def shape(node: fx.Node) -> tuple[int, ...]:
    """The shape of a node's value."""
    return tuple(int(side) for side in node.meta["val"].shape)


def module_path(node: fx.Node) -> str:
    """The path of the module that a node came from, such as `backbone.tpm.stem.0.bn`; "" at the top level."""
    stack = node.meta.get("nn_module_stack")
    if not stack:
        return ""
    path = str(list(stack.values())[-1][0])
    return path.removeprefix("L['self'].")


def operator_name(node: fx.Node) -> str:
    """The operator without its overload: `aten.conv2d`."""
    name = str(node.target)
    return name.rsplit(".", 1)[0] if name.startswith("aten.") else getattr(node.target, "__name__", name)


def is_elementwise(node: fx.Node) -> bool:
    """Whether each value of the result is computed of the operands' values at its place, and no operand is written."""
    schema, tags = getattr(node.target, "_schema", None), getattr(node.target, "tags", ())
    return (
        torch.Tag.pointwise in tags
        and torch.Tag.nondeterministic_seeded not in tags
        and schema is not None
        and not schema.is_mutable
        and isinstance(node.meta.get("val"), Tensor)
    )


def single_user(node: fx.Node) -> fx.Node | None:
    """The only user of a node's value, or None."""
    return next(iter(node.users)) if len(node.users) == 1 else None


def argument(node: fx.Node, index: int, default: Any = None) -> Any:
    """A positional argument, or the operator's default where the call left it out."""
    if index < len(node.args):
        return node.args[index]
    schema = getattr(node.target, "_schema", None)
    if schema is not None:
        name = schema.arguments[index].name
        if name in node.kwargs:
            return node.kwargs[name]
        return schema.arguments[index].default_value if default is None else default
    return default


def source(node: fx.Node, index: int = 0) -> fx.Node:
    """An argument that is another node's value."""
    value = node.args[index]
    assert isinstance(value, fx.Node), f"argument {index} of {node} is no node"
    return value


def all_ints(value: Any, count: int) -> tuple[int, ...]:
    """A stride-like argument, one number or several, as `count` numbers."""
    numbers = [value] if isinstance(value, int) else list(value)
    return tuple(numbers * count if len(numbers) == 1 else numbers)


class _Function(nn.Module):
    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Tensor) -> Tensor:
        return self.function(*args)


def _attribute(module: fx.GraphModule, node: fx.Node) -> Any:
    """The object that a get_attr node of this module reads."""
    held: Any = module
    for part in str(node.target).split("."):
        held = getattr(held, part)
    return held


def _copy_sharing_tensors(module: fx.GraphModule) -> fx.GraphModule:
    """deepcopy, except that parameters and buffers stay the same tensors."""
    tensors = {id(t): t for t in (*module.parameters(), *module.buffers())}
    for name in vars(module):
        held = getattr(module, name)
        if isinstance(held, Tensor):
            tensors[id(held)] = held
    copied = copy.deepcopy(module, memo=dict(tensors))
    for old, new in zip(module.graph.nodes, copied.graph.nodes, strict=True):
        new.meta = dict(old.meta)
    return copied


def _drop_unread_tensors(module: fx.GraphModule) -> None:
    """Parameters that no node reads any more would still be written into the artifact."""
    read = {str(node.target) for node in module.graph.nodes if node.op == "get_attr"}
    for path in [name for name, _ in (*module.named_parameters(remove_duplicate=False), *module.named_buffers())]:
        if path not in read:
            parent, _, leaf = path.rpartition(".")
            owner = module.get_submodule(parent) if parent else module
            if hasattr(owner, leaf):
                delattr(owner, leaf)


def _fake_mode(graph: fx.Graph) -> Any:
    for node in graph.nodes:
        if isinstance(node.meta.get("val"), FakeTensor):
            return node.meta["val"].fake_mode
    return None


def seeded_inputs(shapes: Sequence[tuple[int, ...]], seed: int, scale: float = 1.0) -> Inputs:
    """Standard normal float32 inputs times `scale`, from a generator of their own."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(s, generator=generator) * scale for s in shapes)
