"""What kind of network a name stands for.

topformer-tiny         a network of the zoo
net.py:make            a function, class or module in a file
package.net:make       the same in an importable Python module
timm:NAME              timm.create_model(NAME)
torchvision:NAME       torchvision.models.get_model(NAME)
net.pt2                torch.export.save(torch.export.export(net, inputs), "net.pt2")
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from edgedeploy.core.errors import UsageError

LIBRARIES = ("timm", "torchvision")
PROGRAM_SUFFIX = ".pt2"


@dataclass(frozen=True)
class ModelName:
    """A name in its parts.

    Attributes:
        kind: "zoo", "factory", "library" or "program".
        text: as it was typed.
        source: the variant, the file or Python module, the library, or the program's file.
        attribute: what in the source makes the network; "" for "zoo" and "program".
    """

    kind: Literal["zoo", "factory", "library", "program"]
    text: str
    source: str
    attribute: str = ""


def parse_name(model: str) -> ModelName:
    """Takes a name apart. Raises UsageError for a file or Python module without a factory."""
    if model.endswith(PROGRAM_SUFFIX):
        return ModelName("program", model, model)
    if ":" not in model and "/" not in model and not model.endswith(".py"):
        return ModelName("zoo", model, model)
    source, _, attribute = model.rpartition(":")
    if not source or not attribute:
        raise UsageError(f"'{model}' does not name what makes the network", hint=f"{model.rstrip(':')}:FACTORY")
    return ModelName("library" if source in LIBRARIES else "factory", model, source, attribute)


def safe_name(*parts: str) -> str:
    """A folder name of letters, digits, dots and dashes."""
    text = "-".join(re.sub(r"[^A-Za-z0-9.]+", "-", part).strip("-.") for part in parts)
    return text.lower() or "network"
