"""Concatenations in ExecuTorch's int8 delegate, whose operands need one scale.

ExecuTorch's quantizer gives that scale to all that computes the operands too, and so to all of their other readers: a slice
with values up to 3 that is concatenated with others up to 36 keeps 20 of 256 steps for the convolution that also reads it.
Here an operand keeps a scale of its own where it is far finer, and is rounded again for the concatenation; XNNPACK converts
it in two passes over its values. Where the two ranges are much alike, they are made one. Where all that reads a
concatenation is in float, so is the concatenation: its operands are converted instead of its result.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .annotations import annotate, annotation_of, reads_int8
from .observers import observer_of_values

COPY = "aten.alias.default"
CONCATENATION = "aten.cat.default"
MUCH_FINER = 2.0  # an operand that would lose more than one of its 8 bits keeps its own scale


def separate_operands(captured: Any) -> None:
    """Puts a copy before each operand of a concatenation, so that the quantizer sees two values.

    `join_operands` takes them out again.
    """
    import torch

    for node in captured.graph.nodes:
        if str(node.target) == CONCATENATION:
            with captured.graph.inserting_before(node):
                for operand in node.all_input_nodes:
                    copy = captured.graph.call_function(torch.ops.aten.alias.default, (operand,))
                    copy.meta = dict(operand.meta)
                    node.replace_input_with(operand, copy)


def release_concatenations(graph: Any) -> None:
    """Leaves those concatenations in float that only operators in float read, maybe through views.

    Args:
        graph: of a captured network that ExecuTorch's quantizer has annotated.
    """
    for node in graph.nodes:
        if str(node.target) != CONCATENATION or not reads_int8(node):
            continue
        values: list[Any] = [node]
        readers: list[Any] = []
        for value in values:  # grows
            for reader in value.users:
                shares = reads_int8(reader) and _shares_scale(reader, value)
                (values if shares else readers).append(reader)
        if readers and not any(reads_int8(reader) or reader.op == "output" for reader in readers):
            for value in values:
                annotate(value)


def join_similar_ranges(prepared: Any) -> None:
    """Gives an operand and its concatenation one range where neither loses much by it.

    Args:
        prepared: a network with observers, calibrated.
    """
    joined: dict[Any, list[Any]] = {}  # the observers that have one range with an observer, and it
    own: dict[Any, float] = {}
    for operand, concatenation in _operands(prepared):
        for observer in (operand, concatenation):
            joined.setdefault(observer, [observer])
            own.setdefault(observer, _width(observer.min_val, observer.max_val))
        if joined[operand] is joined[concatenation]:
            continue
        together = joined[operand] + joined[concatenation]
        low = min(float(observer.min_val) for observer in together)
        high = max(float(observer.max_val) for observer in together)
        if _width(low, high) <= MUCH_FINER * min(own[observer] for observer in together):
            for observer in together:
                observer.min_val.fill_(low)
                observer.max_val.fill_(high)
                joined[observer] = together


def join_operands(converted: Any) -> None:
    """Removes the copies, and a conversion to integers behind or beside an equal one.

    Args:
        converted: a network between quantize and dequantize operators.
    """
    import torch

    graph, operators = converted.graph, torch.ops.quantized_decomposed
    quantize, dequantize = operators.quantize_per_tensor.default, operators.dequantize_per_tensor.default
    for node in list(graph.nodes):
        if str(node.target) == CONCATENATION:
            for copy in [found for found in map(_copy_before, node.all_input_nodes) if found is not None]:
                copy.replace_all_uses_with(copy.args[0])
                graph.erase_node(copy)
    for node in [n for n in graph.nodes if n.target == quantize]:
        value, *settings = node.args
        if value.target == dequantize and list(value.args[1:]) == settings:
            same = value.args[0]
        else:
            same = next(user for user in value.users if user.target == quantize and list(user.args[1:]) == settings)
        if same is not node:
            node.replace_all_uses_with(same)
            graph.erase_node(node)
    converted.recompile()


def _shares_scale(view: Any, value: Any) -> bool:
    """Whether an operator's result has the scale of a value that it reads, as a view's has."""
    from torchao.quantization.pt2e.quantizer import SharedQuantizationSpec

    result = annotation_of(view).output_qspec
    return isinstance(result, SharedQuantizationSpec) and result.edge_or_node == value


def _operands(prepared: Any) -> Iterator[tuple[Any, Any]]:
    """The observer of each operand of a concatenation and that of the concatenation."""

    def range_of(node: Any) -> Any:
        return observer_of_values(prepared, node)

    for node in prepared.graph.nodes:
        if str(node.target) != CONCATENATION:
            continue
        for argument in node.all_input_nodes:
            concatenation, copy = range_of(argument), _copy_before(argument)
            source = None if copy is None else copy.args[0]
            candidates = [] if source is None else [source, *source.users]  # behind it, or before another reader of it
            operand = next((found for found in map(range_of, candidates) if found is not None), None)
            if None not in (operand, concatenation) and operand is not concatenation:
                yield operand, concatenation


def _copy_before(node: Any) -> Any:
    """The copy whose value an operand of a concatenation is, behind an observer or conversions; None without one."""
    while node is not None and str(node.target) != COPY:
        conversion = node.op == "call_module" or str(node.target).startswith("quantized_decomposed.")
        node = node.args[0] if conversion else None
    return node


def _width(low: Any, high: Any) -> float:
    """Of a range, which always holds 0."""
    return max(float(high), 0.0) - min(float(low), 0.0)
