"""What kind of network a name stands for.

topformer-tiny         a network of the zoo
net.py:make            a function, class or module in a file
package.net:make       the same in an importable Python module
timm:NAME              timm.create_model(NAME)
torchvision:NAME       torchvision.models.get_model(NAME)
net.pt2                torch.export.save(torch.export.export(net, inputs), "net.pt2")

Arguments for the function that makes the network follow after a question mark, in quotes against the shell:

    "timm:vit_tiny_patch16_224?img_size=96&num_classes=10"
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgedeploy.core.errors import UsageError

LIBRARIES = ("timm", "torchvision")
PROGRAM_SUFFIX = ".pt2"
WORDS = {"true": True, "false": False, "none": None}


@dataclass(frozen=True)
class ModelName:
    """A name in its parts.

    Attributes:
        kind: "zoo", "factory", "library" or "program".
        text: as it was typed.
        source: the variant, the file or Python module, the library, or the program's file.
        attribute: what in the source makes the network; "" for "zoo" and "program".
        arguments: what it is called with.
    """

    kind: Literal["zoo", "factory", "library", "program"]
    text: str
    source: str
    attribute: str = ""
    arguments: Mapping[str, object] = field(default_factory=dict)

    @property
    def words(self) -> tuple[str, ...]:
        """The attribute and the arguments as parts of a folder's name."""
        return (self.attribute, *(f"{key}-{value}" for key, value in self.arguments.items()))


def parse_name(model: str) -> ModelName:
    """Takes a name apart. Raises UsageError for a file or Python module without a factory, and for wrong arguments."""
    name, mark, arguments = model.partition("?")
    if mark and ":" in name:
        found = parse_name(name)
        return ModelName(found.kind, model, found.source, found.attribute, _arguments(model, arguments))
    if model.endswith(PROGRAM_SUFFIX):
        return ModelName("program", model, model)
    if ":" not in model and "/" not in model and not model.endswith(".py"):
        return ModelName("zoo", model, model)
    source, _, attribute = model.rpartition(":")
    if not source or not attribute:
        raise UsageError(f"'{model}' does not name what makes the network", hint=f"{model.rstrip(':')}:FACTORY")
    return ModelName("library" if source in LIBRARIES else "factory", model, source, attribute)


def _arguments(model: str, text: str) -> dict[str, object]:
    """`img_size=96&scale=0.5&act=relu` as values by name: Python's literals, true, false and none; all else is text."""
    found: dict[str, object] = {}
    for part in text.split("&"):
        key, equals, value = part.partition("=")
        if not key.isidentifier() or not equals or key in found:
            raise UsageError(
                f"'{part}' in '{model}' is no argument",
                hint=f'"{model.partition("?")[0]}?KEY=VALUE&KEY=VALUE", each key once',
            )
        found[key] = _value(value)
    return found


def _value(text: str) -> object:
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    try:
        value: object = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text
    return value


def safe_name(*parts: str) -> str:
    """A folder name of letters, digits, dots and dashes."""
    text = "-".join(re.sub(r"[^A-Za-z0-9.]+", "-", part).strip("-.") for part in parts)
    return text.lower() or "network"
