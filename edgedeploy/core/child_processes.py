"""Child processes in Python: the one way in which this package starts them.

A child runs the same interpreter by its absolute path and with `-P`. Its search path is the interpreter's own; what this
process searches beside that comes after it, and the current folder, relative folders and the folder of the running script
do not come at all. So no file that lies where a user works can take the place of a module of Python or of a package.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import edgedeploy
from edgedeploy.core.errors import OutputFailed

PACKAGE = Path(edgedeploy.__file__).absolute().parent
LAUNCHER = PACKAGE / "launcher.py"
SEARCH_PATH = "EDGEDEPLOY_SEARCH_PATH"
_endings: list[Callable[[], None]] = []


def module_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of this package, with the `child_environment`."""
    return [interpreter(), "-P", str(LAUNCHER), str(PACKAGE), module, *arguments]


def installed_module_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of another installed package, such as pip, with the `child_environment`."""
    return [interpreter(), "-P", "-m", module, *arguments]


def interpreter() -> str:
    """The absolute path of the running interpreter; links are kept, since they are how a virtual environment is found."""
    if not sys.executable:
        raise OutputFailed("this Python does not know its own program, so it cannot start another process")
    return str(Path(sys.executable).absolute())


def child_environment() -> dict[str, str]:
    """The environment of a child: this process's, with its search path where only the launcher reads it."""
    return {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "ORT_DISABLE_TELEMETRY": "1",
        SEARCH_PATH: os.pathsep.join(search_path()),
    }


def search_current_folder_last() -> None:
    """Moves the current folder, which an empty entry in PYTHONPATH stands for, to the end of this process's search path."""
    here = Path.cwd().resolve()
    last = [entry for entry in sys.path if not entry or Path(entry).resolve() == here]
    sys.path[:] = [entry for entry in sys.path if entry not in last] + last


def search_path() -> list[str]:
    """The absolute folders that this process searches for packages, without the user's own folders.

    Nor those inside an installed package, which onnxruntime adds for itself when its quantizer is imported.
    """
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    of_the_user = {Path.cwd().resolve()} | ({Path(script).resolve().parent} if script else set())
    entries = [entry for entry in sys.path if Path(entry).is_absolute() and Path(entry).resolve() not in of_the_user]
    return [entry for entry in entries if not _is_inside_a_package(Path(entry), entries)]


def _is_inside_a_package(folder: Path, entries: Sequence[str]) -> bool:
    return (folder / "__init__.py").is_file() and any(Path(entry) in folder.parents for entry in entries)


@contextlib.contextmanager
def ended_by(end: Callable[[], None]) -> Iterator[None]:
    """A block with child processes that `end` ends; it is called after the block, and by `end_children`."""
    _endings.append(end)
    try:
        yield
    finally:
        _endings.remove(end)
        end()


def end_children() -> None:
    """Ends the child processes of every such block; for a process that is about to end without unwinding."""
    for end in _endings:
        end()
