"""What converters raise, in the user's words: which module, which operator, what to try."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from .core.errors import ExportFailed

if TYPE_CHECKING:
    from edgedeploy.exporters.targets import Target

OPERATOR = re.compile(r"\b(aten[.:]+[a-z_0-9]+(?:\.[A-Za-z_0-9]+)?|aten::[a-z_0-9]+)")
MODULE = re.compile(r"L__self___?([A-Za-z0-9_.]+)|nn_module_stack[^\n]*'([a-z][A-Za-z0-9_.]+)',")
INTERESTING = re.compile(r"error|not supported|unsupported|cannot|failed|illegal|no (?:decomposition|conversion)", re.I)


def explain(error: Exception, target: Target, model: str, log: Path) -> ExportFailed:
    """The converter's complaint as an ExportFailed: the operator and module where it names them, and its own last words."""
    text = f"{type(error).__name__}: {error}"
    printed = log.read_text(errors="replace")[-20_000:] if log.is_file() else ""
    details = []
    operators = dict.fromkeys(OPERATOR.findall(text) or OPERATOR.findall(printed[-4000:]))
    if operators:
        details.append(f"operator: {', '.join(list(operators)[:3])}")
    modules = dict.fromkeys(a or b for a, b in MODULE.findall(text))
    if modules:
        details.append(f"module: {', '.join(list(modules)[:3])}")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    spoken = [line for line in lines if INTERESTING.search(line)] or lines
    if spoken == lines[:1] and printed:
        spoken += [line.strip() for line in printed.splitlines() if INTERESTING.search(line)][-3:]
    details += [line[:200] for line in spoken[:4]]
    return ExportFailed(
        f"{model} does not lower to {target.name}",
        details=details,
        hint="another target (`edgedeploy targets`), or rewrite the module that holds the operator; --debug shows all",
    )
