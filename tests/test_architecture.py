"""The house's rules: what is packaged, who imports whom, what starts light."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WINGS = ("models", "exporters", "benchmarks", "android_harness")
HEAVY = {"torch", "onnx", "onnxruntime", "litert_torch", "ai_edge_litert", "ai_edge_quantizer", "executorch", "torchao"}
# which parts of edgedeploy a part may import, beside itself
ALLOWED = {
    "core": set(),
    "data": {"core"},
    "models": {"core"},
    "exporters": {"core"},
    "android_harness": {"core"},
    "benchmarks": {"core", "android_harness"},
    "pipeline": {"core", "data", "models", "exporters", "android_harness", "benchmarks"},
    "studies": {"core", "data", "models", "exporters", "android_harness", "benchmarks", "pipeline"},
    "cli": {"core", "pipeline"},
}


def python_files(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.rglob("*.py")) if not p.is_symlink() and "__pycache__" not in p.parts]


def imports(path: Path, package: str) -> Iterator[tuple[str, bool]]:
    """Absolute names of the modules that a file imports, and whether only for type checking."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in typing_only
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            name = ".".join(part for part in (base, node.module) if part)
            for alias in node.names:
                yield f"{name}.{alias.name}", id(node) in typing_only


def wing_files() -> Iterator[tuple[str, Path, str]]:
    for wing in ALLOWED:
        folder = ROOT / wing if wing in WINGS else ROOT / "edgedeploy" / wing
        for path in python_files(folder):
            inner = path.relative_to(folder).parent
            yield wing, path, ".".join(["edgedeploy", wing, *inner.parts])


def test_the_packages_list_is_the_tree() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = {"edgedeploy"}
    for folder, name in [(ROOT / "edgedeploy", "edgedeploy"), *((ROOT / wing, f"edgedeploy.{wing}") for wing in WINGS)]:
        for init in folder.rglob("__init__.py"):
            relative = init.parent.relative_to(folder)
            if not any((folder / Path(*relative.parts[: n + 1])).is_symlink() for n in range(len(relative.parts))):
                found.add(".".join([name, *relative.parts]))
    assert listed == found


@pytest.mark.parametrize("wing", WINGS)
def test_each_wing_is_linked_into_the_package(wing: str) -> None:
    link = ROOT / "edgedeploy" / wing
    assert link.is_symlink()
    assert link.resolve() == ROOT / wing


@pytest.mark.parametrize(("wing", "path", "package"), list(wing_files()), ids=lambda v: getattr(v, "name", str(v)))
def test_a_wing_imports_only_what_the_plan_allows(wing: str, path: Path, package: str) -> None:
    for name, _ in imports(path, package):
        parts = name.split(".")
        if parts[0] == "edgedeploy" and len(parts) > 1:
            assert parts[1] == wing or parts[1] in ALLOWED[wing], f"{path}: {name}"
        assert parts[0] not in WINGS, f"{path}: a bare import of {parts[0]}"


@pytest.mark.parametrize("wing", ["core", "benchmarks", "android_harness"])
def test_core_and_measuring_do_not_import_torch(wing: str) -> None:
    # the one exception is the measuring child, which brings in whatever runtime it was asked for
    exempt = {ROOT / "benchmarks" / "executors" / "python_sessions.py"}
    for found, path, package in wing_files():
        if found != wing or path in exempt:
            continue
        for name, typing_only in imports(path, package):
            assert typing_only or name.split(".")[0] != "torch", f"{path} imports torch"


def test_core_needs_only_the_standard_library_and_numpy() -> None:
    for wing, path, package in wing_files():
        if wing != "core":
            continue
        for name, typing_only in imports(path, package):
            top = name.split(".")[0]
            assert typing_only or top in sys.stdlib_module_names or top in {"numpy", "platformdirs", "edgedeploy"}, (
                f"{path}: {name}"
            )


def imported_by(*arguments: str) -> set[str]:
    """Top-level modules in a process after the command line has answered."""
    code = (
        "import sys; sys.argv = ['edgedeploy', *sys.argv[1:]]\n"
        "from edgedeploy.cli.app import app\n"
        "try: app()\n"
        "except SystemExit: pass\n"
        "print('MODULES', *sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("arguments", [["--help"], ["bench", "--help"], ["export", "--help"], ["targets"], ["doctor"]])
def test_help_and_listings_import_nothing_heavy(arguments: list[str]) -> None:
    assert not imported_by(*arguments) & HEAVY


def test_no_file_is_longer_than_one_sitting() -> None:
    long = [
        p for wing in ("edgedeploy", *WINGS) for p in python_files(ROOT / wing) if len(p.read_text().splitlines()) > 420
    ]
    assert not long
