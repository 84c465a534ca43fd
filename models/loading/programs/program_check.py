"""Which `.pt2` files are loaded at all: those in which nothing would run as code.

`torch.export.load` evaluates the symbolic shapes of a program as Python expressions, unpickles custom objects, loads
compiled libraries, and looks up every operator by a dotted name, which could be any function that torch can reach. A
program that `torch.export.save` wrote for a network of ordinary operators needs none of that beyond arithmetic and
operators, so anything else is refused before torch opens the file.
"""

from __future__ import annotations

import ast
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgedeploy.core.errors import ModelInvalid

MAX_JSON_BYTES = 1 << 28
OPERATORS = re.compile(
    r"torch\.ops\.[a-z]\w*\.[A-Za-z_]\w*(\.[A-Za-z]\w*)?"  # a registered operator, not an attribute of torch.ops
    r"|torch\._?sym_[a-z_]+|math\.[a-z]\w*"
    r"|_operator\.(add|sub|mul|truediv|floordiv|mod|pow|neg|pos|abs|eq|ne|lt|le|gt|ge|and_|or_|xor|not_|getitem|invert)"
)
TOUCH_FILES = re.compile(r"torch\.ops\.aten\.from_file\b")
ARITHMETIC = re.compile(
    r"Symbol|Integer|Float|Rational|One|Zero|Half|NegativeOne|Add|Mul|Pow|Mod|Abs|Max|Min|floor|ceiling|sqrt"
    r"|Eq|Ne|Lt|Le|Gt|Ge|Equality|Unequality|(Strict)?(Less|Greater)Than|And|Or|Not|Piecewise|Where|ExprCondPair"
    r"|FloorDiv|ModularIndexing|CleanDiv|CeilDiv|CeilToInt|FloorToInt|TruncToInt|TruncToFloat|RoundToInt|RoundDecimal"
    r"|IntTrueDiv|FloatTrueDiv|PythonMod|PowByNatural|FloatPow|ToFloat|Identity|IsNonOverlappingAndDenseIndicator"
    r"|LShift|RShift|Bitwise(Fn_)?(and|or|xor)|OpaqueUnaryFn_\w+|BooleanTrue|BooleanFalse|true|false"
)
SYMBOL = re.compile(r"[a-z]+\d*")
PLAIN_NODES = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.operator, ast.unaryop, ast.cmpop, ast.boolop,
    ast.expr_context, ast.keyword, ast.Tuple,
)  # fmt: skip


def check_program(path: Path) -> None:
    """Refuses a program that is more than a graph of operators and tensors. Raises ModelInvalid, or OSError."""
    with zipfile.ZipFile(path) as archive:
        names = [entry.filename.lower() for entry in archive.infolist()]
        if len(set(names)) < len(names):
            raise _refused(path, "two members of one name")
        for entry in archive.infolist():
            name = entry.filename.lower()
            if "custom_obj" in name or "opaque_obj" in name or "aotinductor" in name or name.endswith((".so", ".dll")):
                raise _refused(path, f"the member {entry.filename}, which is loaded as code")
            if not name.endswith(".json"):
                continue
            if entry.file_size > MAX_JSON_BYTES:
                raise _refused(path, f"a description of {entry.file_size >> 20} MiB")
            for reason in _suspicious(json.loads(archive.read(entry))):
                raise _refused(path, reason)


def _suspicious(content: Any) -> Iterator[str]:
    """What would run as code, in words."""
    todo = [content]
    while todo:
        value = todo.pop()
        if isinstance(value, list):
            todo += value
        if not isinstance(value, dict):
            continue
        todo += value.values()
        expression, target = value.get("expr_str"), value.get("target")
        if expression is not None and not is_arithmetic(expression):
            yield f"the expression {str(expression)[:80]!r}, which is no arithmetic"
        if "inputs" in value and "outputs" in value and target is not None and not _is_operator(target):
            yield f"the operator {str(target)[:80]!r}, which is none of torch's"


def _is_operator(target: object) -> bool:
    return isinstance(target, str) and bool(OPERATORS.fullmatch(target)) and not TOUCH_FILES.match(target)


def is_arithmetic(text: object) -> bool:
    """Whether a symbolic shape, as torch writes it, consists of numbers, symbols and arithmetic alone."""
    if not isinstance(text, str) or len(text) > 100_000:
        return False
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    symbols = {
        id(node.args[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Symbol" and node.args
    }
    return all(_is_plain(node, id(node) in symbols) for node in ast.walk(tree))


def _is_plain(node: ast.AST, is_symbol: bool) -> bool:
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            return SYMBOL.fullmatch(node.value) is not None if is_symbol else _is_number(node.value)
        return isinstance(node.value, int | float | bool)
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and ARITHMETIC.fullmatch(node.func.id) is not None
    if isinstance(node, ast.Name):
        return ARITHMETIC.fullmatch(node.id) is not None or SYMBOL.fullmatch(node.id) is not None
    return isinstance(node, PLAIN_NODES)


def _is_number(text: str) -> bool:
    """`Float('0.5', precision=53)` has its value as text."""
    return re.fullmatch(r"-?\d+(\.\d*)?(e[+-]?\d+)?", text) is not None


def _refused(path: Path, what: str) -> ModelInvalid:
    return ModelInvalid(
        f"{path} is not loaded, because loading it could run code",
        details=[f"it holds {what}"],
        hint="export the network again with fixed shapes and torch's own operators, or name its Python factory instead",
    )
