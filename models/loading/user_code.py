"""Running code of the user, and locating its errors: the line that raised, and the module that was running."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import sysconfig
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from .user_modules import UserFolder, public_name

if TYPE_CHECKING:
    from torch import nn

FRAME = re.compile(r'File "(.+?)", line (\d+), in (\S+)\n\s+(.*)')  # as Python prints a stack trace


@contextlib.contextmanager
def importable(folder: Path | None) -> Iterator[None]:
    """A block in which code of the user may run, and can import the modules in `folder` also by a computed name.

    Imports may stand in functions, so every run of the user's code belongs into such a block: loading the file, calling
    the factory, and each forward pass (`Network.running`). `user_modules` has the rules. None is code of a package.

    A changed current folder is as before afterwards, and `os._exit` is `sys.exit`, so that it can be answered.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(FileNotFoundError):  # the current folder was removed
            stack.enter_context(contextlib.chdir("."))
        stack.enter_context(_EXITS_RAISE)
        if folder is not None:
            stack.enter_context(UserFolder(folder).searched_last())
        yield


class _ExitsRaise:
    """`os._exit` of this process raises SystemExit; processes that are forked meanwhile end by it as ever.

    Blocks in several threads may overlap: the first puts it there, the last takes it away.
    """

    def __init__(self) -> None:
        self._lock, self._blocks, self._end = threading.Lock(), 0, os._exit

    def __enter__(self) -> None:
        with self._lock:
            self._blocks += 1
            if self._blocks > 1:
                return
            end, process = os._exit, os.getpid()

            def leave(status: int) -> NoReturn:
                if os.getpid() != process:
                    end(status)
                raise SystemExit(status)

            self._end, os._exit = end, leave

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._blocks -= 1
            if not self._blocks:
                os._exit = self._end


_EXITS_RAISE = _ExitsRaise()


@contextlib.contextmanager
def running_user_code(folder: Path) -> Iterator[None]:
    """Around loading code of the user: modules in `folder` are importable, and prints go to stderr."""
    with importable(folder), contextlib.redirect_stdout(sys.stderr):
        yield


def user_line_of(error: BaseException) -> list[str]:
    """The innermost line of the user's own code that an error went through: `net.py:12 in forward: x = self.a(x)`.

    Empty where there is none.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return [f"{_relative_path(error.filename)}:{error.lineno}: {(error.text or '').strip()}"]
    frames = [f for f in traceback.extract_tb(error.__traceback__) if _is_user_file(f.filename)]
    if not frames:
        return []
    frame = frames[-1]
    return [f"{_relative_path(frame.filename)}:{frame.lineno} in {frame.name}: {(frame.line or '').strip()}"]


def user_line_in(stack_trace: str) -> str:
    """The innermost line of the user's own code in the text of a stack trace; "" where there is none."""
    frames = [frame for frame in FRAME.findall(stack_trace) if _is_user_file(frame[0])]
    if not frames:
        return ""
    file, number, function, line = frames[-1]
    return f"{_relative_path(file)}:{number} in {function}: {line.strip()}"


def describe_exception(error: BaseException) -> str:
    """The exception's type and the first line of its message, such as `ValueError: bad size`."""
    try:
        message = str(error)
    except Exception:  # of the user's own type
        message = ""
    first = public_name(next((line.strip() for line in message.splitlines() if line.strip()), ""))
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


class ModuleTracker:
    """Records which modules of a network are running, so that an exception can be located."""

    def __init__(self, network: nn.Module) -> None:
        inside = getattr(network, getattr(network, "adapts", ""), network)  # of an adapter
        self.names = {id(module): name for name, module in inside.named_modules()}
        self.running: list[tuple[str, str]] = []

    @property
    def innermost(self) -> str:
        """The innermost module that was running when an exception was raised: `module: encoder.attn (Attention)`.

        Empty where the network itself raised it, or nothing did.
        """
        named = [(path, kind) for path, kind in self.running if path]
        return "module: {} ({})".format(*named[-1]) if named else ""

    @contextlib.contextmanager
    def tracking(self) -> Iterator[None]:
        """Records every module call inside the block."""
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


def _is_user_file(filename: str) -> bool:
    path = Path(filename)
    if filename.startswith("<") or not path.is_file():
        return False
    resolved = path.resolve()
    standard = Path(sysconfig.get_path("stdlib")).resolve()
    if resolved.is_relative_to(standard) and not {"site-packages", "dist-packages"} & set(resolved.parts):
        return False
    return not any(resolved.is_relative_to(folder) for folder in _tool_folders())


def _tool_folders() -> list[Path]:
    """Folders of torch and of this project: their lines do not help to find an error in the user's network."""
    names = ("torch", "edgedeploy", "edgedeploy.core", "edgedeploy.models", "edgedeploy.exporters")
    modules = [sys.modules[name] for name in names if name in sys.modules]
    return [Path(module.__file__).resolve().parent for module in modules if module.__file__]


def _relative_path(filename: str) -> str:
    path = Path(filename)
    with contextlib.suppress(ValueError):
        return str(path.resolve().relative_to(Path.cwd()))
    return str(path)
