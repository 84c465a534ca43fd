"""What a source outside the zoo gives: a network of the user, as it was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edgedeploy.core.provenance import WeightsInfo
from edgedeploy.core.spec import Preprocessing

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class UserNetwork:
    """A network of the user.

    Attributes:
        name: safe as a folder's name.
        module: as its source made it, not yet in eval mode.
        weights: where they come from; random ones are not drawn yet.
        examples: example inputs by name; empty where the source gives none.
        by_name: the inputs are passed by name, not by position.
        by_position: with `by_name`, how many come before them by position.
        preprocessing: how an image becomes the input.
        task: "classification" or "".
        classifier: path of the last layer where the source names it; "" otherwise.
        file: of the network's definition; None for libraries.
        code_folder: where the user's code finds the modules that it imports; None for libraries and programs.
    """

    name: str
    module: nn.Module
    weights: WeightsInfo
    examples: Mapping[str, torch.Tensor] = field(default_factory=dict)
    by_name: bool = False
    by_position: int = 0
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    task: str = ""
    classifier: str = ""
    code_folder: Path | None = None
    file: Path | None = None
