"""What studies share: files of results that several runs may fill, the key of the code behind a result, and its origin."""

from __future__ import annotations

import ast
import functools
import json
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from edgedeploy.core.errors import UsageError
from edgedeploy.core.storage.cache import key_of, locked
from edgedeploy.core.storage.json_records import RecordInvalid, decode, write_record
from edgedeploy.core.versions import versions

T = TypeVar("T")
LARGEST_SPREAD_DB = 3  # of the runtimes' SQNR of one network

# What studies write. Several may run at once, so that none of it tells whether the code is that of the commit.
WRITTEN = (
    "README.md", "docs/zoo.md", "docs/zoo.json", "docs/zoo_spread.json", "docs/strangers.md",
    "docs/strangers.json", "docs/accuracy.md", "docs/accuracy.json", "benchmarks/RESULTS.md", "benchmarks/versus.json",
)  # fmt: skip
PACKAGE = Path(__file__).parent.parent  # edgedeploy/
# Below it: what every artifact depends on, beside the network's and the format's own files.
EXPORTING = (
    "core/*.py", "core/recipes/*.py", "core/recipes/*.toml", "data/*.py", "pipeline/export/*.py",
    "pipeline/verification.py", "models/layers.py", "models/loading/*.py", "models/adapters/*.py",
    "models/preparation/*.py", "models/rewrites/*.py", "models/macs.py",
    "exporters/job.py", "exporters/targets.py", "exporters/recipes.py", "exporters/aten_regions.py",
    "exporters/executorch_operators.py", "exporters/ranges.py", "exporters/operators/*.py", "exporters/regions/*.py",
)  # fmt: skip


@dataclass(frozen=True)
class Origin:
    """The commit and the machine that outcomes are recorded with."""

    commit: str = ""
    machine: str = ""

    @classmethod
    def here(cls) -> Origin:
        """This code on this machine."""
        return cls(_commit(), _machine_facts())


UNKNOWN = Origin()


class RecordFile(Generic[T]):
    """Records of one kind by name, in a JSON file. Several runs may fill it at the same time."""

    def __init__(self, path: Path, kind: type[T]) -> None:
        self.path, self._kind = path, kind

    def read(self) -> dict[str, T]:
        """All records; none where there is no file. Raises UsageError for a broken file."""
        try:
            return decode(self.path.read_bytes(), dict[str, self._kind])  # type: ignore[name-defined]
        except FileNotFoundError:
            return {}
        except (OSError, RecordInvalid) as error:
            raise UsageError(
                f"{self.path} is not a file of results",
                details=[str(error)],
                hint="restore it, or give another one: --results FILE",
            ) from None

    def add(self, name: str, record: T) -> None:
        """Keeps one more."""
        with locked(self.path):
            write_record(self.path, dict(sorted({**self.read(), name: record}.items())))


class Made(Protocol):
    """An outcome that says where it was made."""

    @property
    def commit(self) -> str: ...

    @property
    def machine(self) -> str: ...


def made_by(outcomes: Iterable[Made]) -> list[str]:
    """A page's lines of where its figures are from: one for each machine, with the commits that were run there."""
    commits: dict[str, dict[str, None]] = {}
    for outcome in outcomes:
        commits.setdefault(outcome.machine, {})[outcome.commit] = None
    return [f"- commit {', '.join(found)}: {machine}" for machine, found in commits.items()]


def figure_text(target: str, relative_error: float | None, sqnr_db: float | None, *, missed: bool) -> str:
    """The figure of an artifact in a page's cell: the error in σ in float, else the SQNR in dB; `*` below the threshold."""
    mark = "*" if missed else ""
    if target.endswith("fp32"):
        return f"{relative_error:.1e}{mark}"
    return ("equal" if sqnr_db is None else f"{sqnr_db:.1f}") + mark


def code_key(root: Path, patterns: Iterable[str], tools: dict[str, str] | None = None) -> str:
    """A hash of the programs that match the patterns below `root`, and of the tools' versions (default: the installed)."""
    files = [path for pattern in patterns for path in sorted(root.glob(pattern))]
    code = [part for path in files for part in (path.name, _meaning(path))]
    return key_of([json.dumps(tools or versions(), sort_keys=True), *code])


def _meaning(path: Path) -> str:
    """What a file says to a program; of others than Python's, every byte."""
    text = path.read_text(encoding="utf-8")
    return _program(text) if path.suffix == ".py" else text


@functools.cache  # of the same text; most files are every cell's
def _program(source: str) -> str:
    """The program without comments, docstrings and layout, so that a changed sentence does not cost hours of exports."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            del node.body[0]
    return ast.dump(tree)


def _machine_facts() -> str:
    """What a figure depends on beside the commit: machine and versions."""
    from edgedeploy.benchmarks.devices import describe_host

    device = describe_host()
    kept = ("torch", "onnxruntime", "executorch", "litert-torch", "ai-edge-litert")
    tools = ", ".join(f"{name} {version}" for name, version in versions().items() if name in kept)
    machine = f"{device.model or platform.machine()}, {len(device.cores)} cores, {device.os}"
    return f"{machine}; Python {platform.python_version()}, {tools}"


def _commit() -> str:
    """Of this code, with a word where files differ from it; those that studies write may."""
    root = str(PACKAGE.resolve().parent)

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        changed = git("status", "--short", "--", *(f":!{path}" for path in WRITTEN))
        return git("rev-parse", "--short", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
