"""What goes wrong in a user's own code, in words: the line of theirs that raised, and the module that was running."""

from __future__ import annotations

import contextlib
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def user_line_of(error: BaseException) -> list[str]:
    """The innermost line of the user's own code that an error went through: `net.py:12 in forward: x = self.a(x)`.

    Empty where there is none.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return [f"{_near(error.filename)}:{error.lineno}: {(error.text or '').strip()}"]
    frames = [f for f in traceback.extract_tb(error.__traceback__) if _is_users(f.filename)]
    if not frames:
        return []
    frame = frames[-1]
    return [f"{_near(frame.filename)}:{frame.lineno} in {frame.name}: {(frame.line or '').strip()}"]


def describe_exception(error: BaseException) -> str:
    """`ValueError: the first line of what it says`."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


class ModuleTracker:
    """Follows a running network: after an exception, `place` is the path of the innermost module that was running."""

    def __init__(self, network: nn.Module) -> None:
        self.names = {id(module): name for name, module in network.named_modules()}
        self.running: list[tuple[str, str]] = []

    @property
    def place(self) -> str:
        """Such as `module: encoder.blocks.3.attn (Attention)`; empty where the network itself failed, or nothing did."""
        named = [(path, kind) for path, kind in self.running if path]
        return "module: {} ({})".format(*named[-1]) if named else ""

    @contextlib.contextmanager
    def followed(self) -> Iterator[None]:
        """Watches every module call inside the block."""
        from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

        def enter(module: nn.Module, _inputs: object) -> None:
            self.running.append((self.names.get(id(module), ""), type(module).__name__))

        def leave(_module: nn.Module, _inputs: object, _output: object) -> None:
            self.running.pop()

        hooks = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


@contextlib.contextmanager
def running_users_code(folder: Path) -> Iterator[None]:
    """Around code of the user's: it finds its neighbours in `folder`, and what it prints goes to stderr."""
    place = str(folder.resolve())
    if place not in sys.path:
        sys.path.insert(0, place)  # stays: imports inside functions come later
    with contextlib.redirect_stdout(sys.stderr):
        yield


def _is_users(filename: str) -> bool:
    path = Path(filename)
    if filename.startswith("<") or not path.is_file():
        return False
    resolved = path.resolve()
    standard = Path(sysconfig.get_path("stdlib")).resolve()
    if resolved.is_relative_to(standard) and not {"site-packages", "dist-packages"} & set(resolved.parts):
        return False
    return not any(resolved.is_relative_to(home) for home in _homes_of_the_tools())


def _homes_of_the_tools() -> list[Path]:
    """Folders whose lines tell the user nothing about their network: torch's and this project's."""
    names = ("torch", "edgedeploy", "edgedeploy.core", "edgedeploy.models", "edgedeploy.exporters")
    modules = [sys.modules[name] for name in names if name in sys.modules]
    return [Path(module.__file__).resolve().parent for module in modules if module.__file__]


def _near(filename: str) -> str:
    path = Path(filename)
    with contextlib.suppress(ValueError):
        return str(path.resolve().relative_to(Path.cwd()))
    return str(path)
