"""The rules of docs/architecture.md: packaging, who imports whom, sizes, and what starts light."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINKED = ("models", "exporters", "benchmarks", "android_harness")  # folders at the root, imported as edgedeploy.<name>
HEAVY = {"torch", "onnx", "onnxruntime", "litert_torch", "ai_edge_litert", "ai_edge_quantizer", "executorch", "torchao"}
CORE_LIBRARIES = {"numpy", "msgspec", "platformdirs", "filelock"}
# which packages a package may import, beside itself
ALLOWED: dict[str, set[str]] = {
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
MAX_LINES = 400
MAX_FILES = 13  # of one folder; families and rewrites, which grow by one file each, are counted apart
MAX_PARAMETERS = 6


@dataclass(frozen=True)
class Module:
    """A Python file of the package."""

    name: str
    path: Path
    package: str

    def __str__(self) -> str:
        return self.name

    @property
    def parent(self) -> str:
        """What relative imports start from."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]


@dataclass(frozen=True)
class Import:
    """An absolute name that a module imports: a module, or something in one."""

    name: str
    typing_only: bool


def python_files(folder: Path) -> list[Path]:
    linked = [folder / name for name in LINKED if (folder / name).is_symlink()]
    return [
        path
        for path in sorted(folder.rglob("*.py"))
        if "__pycache__" not in path.parts and not any(link in path.parents for link in linked)
    ]


@cache
def modules() -> tuple[Module, ...]:
    found = []
    for package in ALLOWED:
        folder = ROOT / package if package in LINKED else ROOT / "edgedeploy" / package
        for path in python_files(folder):
            parts = path.relative_to(folder).with_suffix("").parts
            name = ".".join(["edgedeploy", package, *(part for part in parts if part != "__init__")])
            found.append(Module(name, path, package))
    return tuple(found)


@cache
def imports(module: Module) -> tuple[Import, ...]:
    """Everything that a module imports, at its top or inside a function."""
    tree = ast.parse(module.path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, id(node) in typing_only) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(module.parent.split(".")[: len(module.parent.split(".")) - node.level + 1])
            name = ".".join(part for part in (base if node.level else "", node.module) if part)
            found += [Import(f"{name}.{alias.name}", id(node) in typing_only) for alias in node.names]
    return tuple(found)


def imported_modules(module: Module) -> Iterator[str]:
    """The modules of this package that a module imports when it runs."""
    known = {other.name for other in modules()}
    for found in imports(module):
        if found.typing_only:
            continue
        name = found.name if found.name in known else found.name.rpartition(".")[0]
        if name in known and name != module.name:
            yield name


def test_the_packages_list_is_the_tree() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    assert listed == {"edgedeploy"} | {module.name for module in modules() if module.path.name == "__init__.py"}


@pytest.mark.parametrize("package", LINKED)
def test_each_folder_at_the_root_is_linked_into_the_package(package: str) -> None:
    link = ROOT / "edgedeploy" / package
    assert link.is_symlink()
    assert link.resolve() == ROOT / package


@pytest.mark.parametrize("module", modules(), ids=str)
def test_a_module_imports_only_what_its_package_may(module: Module) -> None:
    for found in imports(module):
        parts = found.name.split(".")
        if parts[0] == "edgedeploy" and len(parts) > 1:
            assert parts[1] == module.package or parts[1] in ALLOWED[module.package], found.name
        assert parts[0] not in LINKED, f"a bare import of {parts[0]}"


@pytest.mark.parametrize("module", [m for m in modules() if m.package == "core"], ids=str)
def test_core_needs_few_libraries(module: Module) -> None:
    for found in imports(module):
        top = found.name.split(".")[0]
        allowed = top in sys.stdlib_module_names or top in CORE_LIBRARIES | {"edgedeploy"}
        assert allowed or (found.typing_only and top == "torch"), found.name


def test_no_import_runs_in_a_circle() -> None:
    """Also none that is hidden inside a function."""
    edges = {module.name: set(imported_modules(module)) for module in modules()}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path[path.index(name) :], name))
        if name not in done:
            for other in sorted(edges[name]):
                visit(other, (*path, name))
            done.add(name)

    for name in edges:
        visit(name, ())


def process_modules(code: str, *arguments: str) -> set[str]:
    """Top-level modules in a process after it has run `code`."""
    program = f"import sys\n{code}\nprint('MODULES', *sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("arguments", [["--help"], ["bench", "--help"], ["export", "--help"], ["targets"], ["doctor"]])
def test_help_and_listings_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "sys.argv = ['edgedeploy', *sys.argv[1:]]\nfrom edgedeploy.cli.app import app\n"
        "try: app()\nexcept SystemExit: pass"
    )
    assert not process_modules(code, *arguments) & HEAVY


def test_core_the_harness_and_the_benchmarks_import_nothing_heavy() -> None:
    names = [m.name for m in modules() if m.package in ("core", "android_harness", "benchmarks")]
    importable = [name for name in names if not name.endswith(("__main__", "legacy_tflite.worker"))]
    assert not process_modules(f"import importlib\nfor name in {importable}: importlib.import_module(name)") & HEAVY


def test_running_an_executorch_file_imports_torch_and_no_compiler() -> None:
    code = "from edgedeploy.benchmarks.executors.python_sessions import import_runtime\nimport_runtime('executorch')"
    assert {"executorch", "torch", "torchao"} & process_modules(code) == {"executorch", "torch"}


def test_no_file_is_longer_than_one_sitting() -> None:
    files = [*(module.path for module in modules()), *python_files(ROOT / "tests")]
    assert [str(path.relative_to(ROOT)) for path in files if len(path.read_text().splitlines()) > MAX_LINES] == []


def test_no_folder_holds_more_files_than_a_person_can_overlook() -> None:
    folders: dict[Path, int] = {}
    for module in modules():
        if module.path.name != "__init__.py":
            folders[module.path.parent] = folders.get(module.path.parent, 0) + 1
    growing = {ROOT / "models", ROOT / "models" / "rewrites"}
    assert {str(folder) for folder, count in folders.items() if count > MAX_FILES and folder not in growing} == set()


def functions(module: Module) -> Iterator[tuple[str, int]]:
    """Each function's name and number of parameters, without self; a command's parameters are its options."""
    for node in ast.walk(ast.parse(module.path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if any("command" in ast.unparse(decorator) for decorator in node.decorator_list):
                continue
            names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            yield node.name, len([name for name in names if name not in ("self", "cls")])


def test_no_function_has_more_parameters_than_a_caller_can_remember() -> None:
    assert [
        f"{module}.{name}: {count}"
        for module in modules()
        for name, count in functions(module)
        if count > MAX_PARAMETERS
    ] == []
