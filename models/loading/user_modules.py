"""Modules of the user, loaded under private names.

`import blocks` in the user's `net.py` gives the `blocks.py` beside it, whatever else is called so; the same line in torch
or in Python's own library never does. So a `platform.py` beside a network breaks nothing, and two networks whose folders
both hold a `blocks.py` get one each.

A folder of the user is a package with a private name, and its files are modules of that package. They have an `__import__`
of their own, which looks in the folder first. Code that imports by a computed name (`importlib.import_module`) does not
come through it; for that code the folder is the last entry of `sys.path` while the network runs (`searched_last`).
"""

from __future__ import annotations

import builtins
import contextlib
import hashlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import machinery
from pathlib import Path
from types import ModuleType
from typing import Any

PREFIX = "_edgedeploy_user_"
PRIVATE = re.compile(PREFIX + r"[0-9a-f]{12}\.")
_imported_by_name: dict[str, dict[str, ModuleType]] = {}  # by folder: what came through `sys.path`
_read: dict[str, tuple[Path, tuple[int, int]]] = {}  # by module: its file, and the version of it that runs


class UserFolder:
    """A folder with modules of the user."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder.resolve())
        self.package = PREFIX + hashlib.sha256(self.path.encode()).hexdigest()[:12]
        if self.package not in sys.modules:
            package = ModuleType(self.package)
            package.__path__ = [self.path]
            sys.modules[self.package] = package
        if _PrivateFinder not in sys.meta_path:
            sys.meta_path.insert(0, _PrivateFinder)

    def forget_older_versions(self) -> None:
        """Where a file of the folder was changed since it was loaded, all of its modules are loaded anew."""
        importlib.invalidate_caches()
        mine = [name for name in sys.modules if name.startswith(f"{self.package}.")]
        if any(name in _read and _version(_read[name][0]) != _read[name][1] for name in mine):
            for name in mine:
                del sys.modules[name]
                _read.pop(name, None)

    def has(self, name: str) -> bool:
        """Whether this name, up to its first dot, is a module or a package of this folder.

        A folder without an `__init__.py` counts only where nothing else has its name: it may be anything.
        """
        top = name.partition(".")[0]
        spec = _spec(f"{self.package}.{top}", [self.path])
        if spec is None:
            return False
        if spec.loader is None:
            known = top in sys.modules or machinery.PathFinder.find_spec(top) is not None
            return not known and any(Path(self.path, top).rglob("*.py"))
        # a folder of packages that Python has imported from there already
        return getattr(sys.modules.get(top), "__file__", None) != spec.origin

    def load(self, name: str) -> ModuleType:
        """The module that user code calls `name`."""
        return importlib.import_module(f"{self.package}.{name}")

    def load_file(self, path: Path) -> ModuleType:
        """The module in a file of this folder, whose name may be none that could be imported."""
        if path.suffix == ".py" and path.stem.isidentifier():
            return self.load(path.stem)
        digest = hashlib.sha256(path.name.encode()).hexdigest()[:8]
        name = f"{self.package}.file_{digest}"
        if name in sys.modules:
            return sys.modules[name]
        loader = _UserLoader(name, str(path))
        spec = importlib.util.spec_from_loader(name, loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        return module

    def import_(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> ModuleType:
        """`__import__` of this folder's modules."""
        if level or not self.has(name):
            return builtins.__import__(name, globals, locals, fromlist, level)
        found = builtins.__import__(f"{self.package}.{name}", globals, locals, fromlist, 0)
        return found if fromlist else sys.modules[f"{self.package}.{name.partition('.')[0]}"]

    @contextlib.contextmanager
    def searched_last(self) -> Iterator[None]:
        """A block in which the folder is at the end of `sys.path`.

        After it `sys.path` is as before, and what was imported by that way is kept for the next block only.
        """
        kept = _imported_by_name.setdefault(self.path, {})
        sys.modules.update({name: module for name, module in kept.items() if name not in sys.modules})
        before = set(sys.modules) - set(kept)
        sys.path.append(self.path)
        try:
            yield
        finally:
            with contextlib.suppress(ValueError):  # the user's code may have changed the list
                del sys.path[len(sys.path) - 1 - sys.path[::-1].index(self.path)]
            for name in [name for name in sys.modules if name not in before and self._holds(name)]:
                kept[name] = sys.modules.pop(name)

    def _holds(self, name: str) -> bool:
        file = getattr(sys.modules[name], "__file__", None)
        if name.startswith(PREFIX) or file is None:
            return False
        inside = Path(file).resolve()
        return inside.is_relative_to(self.path) and not {"site-packages", "dist-packages"} & set(inside.parts)


def public_name(text: str) -> str:
    """A text in which modules have the names that the user gave them."""
    return PRIVATE.sub("", text)


class _UserLoader(machinery.SourceFileLoader):
    """Runs a source file of the user with the `__import__` of its folder. No bytecode is read or written."""

    def get_code(self, fullname: str) -> Any:
        """The compiled source."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)

    def exec_module(self, module: ModuleType) -> None:
        """Runs it; functions keep the built-in names of the module that defines them."""
        folder = Path(sys.modules[module.__name__.partition(".")[0]].__path__[0])
        _read[module.__name__] = (Path(self.path), _version(Path(self.path)))
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": UserFolder(folder).import_}
        super().exec_module(module)


class _PrivateFinder:
    """Finds the modules of private packages."""

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> machinery.ModuleSpec | None:
        """Python's own search, but with the loader of user code."""
        return _spec(name, path) if name.startswith(PREFIX) and path is not None else None


def _spec(name: str, path: Sequence[str]) -> machinery.ModuleSpec | None:
    spec = machinery.PathFinder.find_spec(name, path)
    if spec is not None and type(spec.loader) is machinery.SourceFileLoader:
        spec.loader = _UserLoader(spec.loader.name, spec.loader.path)
    return spec


def _version(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return found.st_mtime_ns, found.st_size
