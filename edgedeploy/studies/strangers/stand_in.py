"""A stand-in for torchvision, so that timm's networks load where no torchvision fits the installed torch.

timm imports torchvision for its image transforms; its networks use none of it. This file is copied as the package
`torchvision` into a folder that only the study searches. Every module and every name that is asked for exists, and is an
empty class; a network that did use one would fail at its first call.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from types import ModuleType
from typing import Any

NAME = "torchvision"


class _Kind(type):
    """Attributes of a stand-in class are their own names, which enumerations and dictionaries can hold."""

    def __getattr__(cls, name: str) -> str:
        if name.startswith("__"):
            raise AttributeError(name)
        return name


class _Module(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = _Kind(name, (), {})
        setattr(self, name, made)
        return made


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if not fullname.startswith(f"{NAME}."):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


if __name__ == NAME:
    sys.meta_path.append(_Finder())
    sys.modules[__name__].__class__ = _Module
    __version__ = "0.0"
