"""The wheel: it holds what the tree holds, and installed alone it does the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINKED = ("models", "exporters", "benchmarks", "android_harness")


def run(*arguments: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    done = subprocess.run([str(a) for a in arguments], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what git tracks: neither the tree nor its build folders are touched."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, folder / "tree" / name
        if name.startswith("tests/") or not (source.exists() or source.is_symlink()):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            target.symlink_to(os.readlink(source))
        else:
            target.write_bytes(source.read_bytes())
    build: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        folder,
    ]
    run(*build, folder / "tree", cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_every_module_and_data_file_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = set()
    for folder, prefix in [
        (ROOT / "edgedeploy", "edgedeploy"),
        *((ROOT / name, f"edgedeploy/{name}") for name in LINKED),
    ]:
        linked = [folder / name for name in LINKED]
        for path in folder.rglob("*.py"):
            if not any(link in path.parents for link in linked):
                expected.add(f"{prefix}/{path.relative_to(folder)}")
    data = {name for name in inside if not name.endswith(".py")}
    assert inside - data == expected
    assert {"edgedeploy/py.typed", "edgedeploy/models/published.json"} <= data
    assert any(name.endswith(".cpp") for name in data), "the runner's sources"


def test_the_pinned_versions_meet_the_ranges() -> None:
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    # timm and torchvision are the user's own choice of versions; everything else is installed here as pinned
    extras = [lines for name, lines in project["optional-dependencies"].items() if name not in ("timm", "torchvision")]
    ranges = [*project["dependencies"], *(line for lines in extras for line in lines)]
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    for requirement in map(Requirement, ranges):
        if requirement.name != "edgedeploy":
            assert requirement.specifier.contains(pinned[requirement.name], prereleases=True), requirement


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_installed_in_an_empty_environment_it_does_the_same(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "env", cwd=tmp_path)
    python = tmp_path / "env" / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", f"{wheel}[all]", cwd=tmp_path)
    command = tmp_path / "env" / "bin" / "edgedeploy"
    hashes = []
    for program, folder in (([command], "installed"), ([sys.executable, "-m", "edgedeploy"], "checkout")):
        target = tmp_path / folder
        target.mkdir()
        run(*program, "export", "topformer-tiny-cls", "--target", "onnx-fp32,tflite-int8", cwd=target, PYTHONPATH=""
            if folder == "installed" else str(ROOT))  # fmt: skip
        manifests = sorted(target.rglob("manifest.json"))
        hashes.append({p.parent.name: json.loads(p.read_text())["provenance"]["weights"]["sha256"] for p in manifests})
    assert hashes[0] == hashes[1]
    assert set(hashes[0]) == {"onnx-fp32", "tflite-int8"}
    measured = run(
        command, "bench", "--num-runs", "3", "--launches", "1", "--min-secs", "0", cwd=tmp_path / "installed"
    )
    assert "tflite-int8" in measured.stdout
