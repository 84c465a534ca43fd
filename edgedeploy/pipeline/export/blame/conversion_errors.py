"""What torch.export and the converters raise, in the user's words: which module, which operator, what to try instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edgedeploy.core.errors import ExportFailed
from edgedeploy.models.loading.user_code import ModuleTracker, describe_exception, user_line_of

from .failing_operator import described, user_line

if TYPE_CHECKING:
    import torch
    from torch import fx, nn

    from edgedeploy.exporters.job import FileRefused
    from edgedeploy.exporters.targets import Target

OPERATOR = re.compile(r"\b(aten[.:]+[a-z_0-9]+(?:\.[A-Za-z_0-9]+)?|aten::[a-z_0-9]+)")
MODULE = re.compile(r"L__self___?([A-Za-z0-9_.]+)|nn_module_stack[^\n]*'([a-z][A-Za-z0-9_.]+)',")
INTERESTING = re.compile(r"error|not supported|unsupported|cannot|failed|illegal|no (?:decomposition|conversion)", re.I)
LIBRARY_MESSAGE = re.compile(r"^Failed to load .*\.so|^[WI]\d{4} ")  # from libraries that load; not about the network
SHOWN = 3

COMPLEX = "this format has no complex numbers: compute real and imaginary parts separately, in real arithmetic"
# operator, or the start of its name -> what to use instead
ALTERNATIVES = {
    "fft": "a fixed Fourier transform is a matrix product: multiply by a constant DFT matrix",
    "_fft": "a fixed Fourier transform is a matrix product: multiply by a constant DFT matrix",
    "stft": "a fixed Fourier transform is a matrix product: multiply by a constant DFT matrix",
    "linalg": "a decomposition has no operator on phones: take it out of the network, or compute it beforehand",
    "nonzero": "its output's size depends on values: use a mask, torch.where or topk with a fixed count",
    "masked_select": "its output's size depends on values: multiply by the mask instead",
    "unique": "its output's size depends on values, which these formats cannot express",
    "_upsample_bilinear2d_aa": "interpolate(..., antialias=False), or average pooling before it",
    "_upsample_bicubic2d_aa": "interpolate(..., antialias=False), or average pooling before it",
    "grid_sampler": "with a fixed grid, gather with precomputed indices; else try an ONNX target",
    "sort": "topk with a fixed count lowers where sort does not",
    "roll": "torch.cat of two slices does the same",
    "einsum": "matmul with permute does the same",
    "unfold": "for windows that do not overlap, reshape and permute do the same",
}


def explain_capture(error: Exception, model: str, module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> ExportFailed:
    """Why torch.export could not capture a network: the module and the line of the user's code where it stopped."""
    text = str(error)
    module_line = _module_of_capture(module, inputs)
    details = [line for line in (module_line, *user_line_of(error), describe_exception(error)[:200]) if line]
    operators = _operators(text)
    if operators:
        details.insert(0, f"operator: {', '.join(operators)}")
    kind = type(error).__name__
    if "DataDependent" in kind or "data-dependent" in text or ".item()" in text:
        hint = "the network's path depends on values: torch.where chooses between two results without an `if`"
    elif "Dynamo" in kind or "Unsupported" in kind:
        hint = "take this Python construct out of forward; shapes may be plain numbers, they are fixed here"
    else:
        hint = _alternative(operators) or "make torch.export.export(net.eval(), inputs, strict=False) work first"
    return ExportFailed(f"{model} cannot be captured by torch.export", details=details, hint=hint)


def _module_of_capture(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> str:
    """Captures once more and watches which module it stops in."""
    import torch

    trail = ModuleTracker(module)
    try:
        with trail.tracking():
            torch.export.export(module, inputs, strict=False)
    except Exception:
        return trail.innermost
    return ""


def explain_lowering(
    error: Exception,
    target: str,
    model: str,
    log: Path,
    module: fx.GraphModule | None = None,
    find: Callable[[], fx.Node | None] = lambda: None,
) -> ExportFailed:
    """A converter's exception as an ExportFailed: the operator, its module and line, and the converter's last lines.

    Args:
        log: of the converter.
        module: the network that was lowered.
        find: the operator that does not convert; called where the messages name none of the network's.
    """
    from edgedeploy.models.rewrites.graph import operator_name

    text = f"{type(error).__name__}: {error}"
    log_text = log.read_text(errors="replace")[-20_000:] if log.is_file() else ""
    details = []
    operators = _operators(text) or _operators(log_text[-4000:])
    nodes = _nodes_with(operators, module)
    modules = list(dict.fromkeys(a or b for a, b in MODULE.findall(text))) or _paths(nodes)
    if operators:
        details.append(f"operator: {', '.join(operators)}")
    if modules:
        more = f" and {len(modules) - SHOWN} more" if len(modules) > SHOWN else ""
        details += [f"module: {', '.join(modules[:SHOWN])}{more}", *(described(nodes[0])[2:] if nodes else [])]
    elif (node := find()) is not None:
        details += described(node)[1 if operators else 0 :]  # what a converter names may be a part of it
        operators = operators or [operator_name(node)]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    messages = [line for line in lines if INTERESTING.search(line)] or lines
    if len(messages) == 1 and messages[0].endswith(":"):  # the message itself follows
        messages = lines[lines.index(messages[0]) :]
    if messages == lines[:1] and log_text:
        messages += [
            line.strip()
            for line in log_text.splitlines()
            if INTERESTING.search(line) and not LIBRARY_MESSAGE.search(line)
        ][-3:]
    details += [line[:200] for line in messages[:4]]
    general = "another target (`edgedeploy targets`), or rewrite the module that holds the operator; --debug shows all"
    hint = COMPLEX if "complex" in text.lower() else _alternative(operators) or general
    return ExportFailed(f"{model} does not lower to {target}", details=details, hint=hint)


def explain_refusal(refusal: FileRefused, target: Target, model: str, module: fx.GraphModule) -> ExportFailed:
    """The error of a file that its runtime does not open: the operator, its module and line, and the way out.

    Args:
        module: the network that was lowered.
    """
    details = []
    if refusal.operator:
        path = refusal.module
        details = [f"operator: {refusal.operator}", f"module: {path or 'the top level'}", *_line_of(path, module)]
    return ExportFailed(
        f"{model} does not lower to {target.name}",
        details=[*details, *(line[:200] for line in str(refusal).splitlines())],
        hint=way_out(quantized=target.recipe.is_quantized),
    )


def way_out(*, quantized: bool) -> str:
    """What to try where a runtime refuses a file for an operator, for an error's hint."""
    in_float = "--exclude MODULE keeps it in float32; " if quantized else ""
    return f"{in_float}another target (`edgedeploy targets`), or write the operator in another way"


def _line_of(path: str, module: fx.GraphModule) -> list[str]:
    """The user's line that a module begins with, for an error's details."""
    from edgedeploy.models.rewrites.graph import module_path

    calls = (node for node in module.graph.nodes if node.op == "call_function" and path and module_path(node) == path)
    first = next(calls, None)
    return [] if first is None else user_line(first)


def _operators(text: str) -> list[str]:
    """Operators that a text names, each in the first of its spellings."""
    return list({_bare(name): name for name in reversed(OPERATOR.findall(text))}.values())[::-1][:SHOWN]


def _bare(operator: str) -> str:
    """`aten.fft_rfft2.default` and `aten::fft_rfft2` -> `fft_rfft2`."""
    return re.split(r"[.:]+", operator)[1]


def _alternative(operators: list[str]) -> str | None:
    for operator in operators:
        for start, advice in ALTERNATIVES.items():
            if _bare(operator).startswith(start):
                return advice
    return None


def _nodes_with(operators: list[str], module: fx.GraphModule | None) -> list[fx.Node]:
    """Where a captured network calls these operators."""
    if not operators or module is None:
        return []
    calls = [node for node in module.graph.nodes if node.op == "call_function" and str(node.target).startswith("aten.")]
    for kind in (_bare, _family):  # converters name what an operator was decomposed into: _fft_r2c for fft_rfft2
        wanted = {kind(operator) for operator in operators}
        found = [node for node in calls if kind(str(node.target)) in wanted]
        if found:
            return found
    return []


def _paths(nodes: list[fx.Node]) -> list[str]:
    from edgedeploy.models.rewrites.graph import module_path

    return list(dict.fromkeys(module_path(node) or "the top level" for node in nodes))


def _family(operator: str) -> str:
    """`_fft_r2c` and `fft_rfft2` -> `fft`."""
    return _bare(operator).strip("_").partition("_")[0]
