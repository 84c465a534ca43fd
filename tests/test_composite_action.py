"""The composite GitHub Action: its steps in a plain shell, in a clean clone of a repository that uses it.

Only its first step, which installs packages, is left out: this environment's edgedeploy is in the PATH instead. What it
uploads and comments needs GitHub.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.phones import need

ACTION = Path(__file__).parent.parent / ".github" / "actions" / "edgedeploy-gate"
STEPS = ("Export and count", "Report", "Gate")
NETWORK = """\
import torch
from torch import nn

def make():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), *[nn.Conv2d(8, 8, 3, 1, 1) for _ in range({count})]).eval()
"""
INPUTS = {"model": "mynet.py:make", "input": "1x3x32x32", "target": "tflite-fp32", "baseline": "baseline.json"}


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@localhost"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def run_action(clone: Path) -> dict[str, subprocess.CompletedProcess[str]]:
    """Each step's result, in a shell that has nothing but what GitHub gives it; a step that fails ends the job."""
    action = yaml.safe_load((ACTION / "action.yml").read_text())
    given = {name: INPUTS.get(name, described.get("default", "")) for name, described in action["inputs"].items()}
    done = {}
    for step in action["runs"]["steps"]:
        if step["name"] not in STEPS:
            continue
        asked = {
            name: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: given[found[1]], value)
            for name, value in step.get("env", {}).items()
        }
        environment = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(clone.parent),
            "GITHUB_ACTION_PATH": str(ACTION),
            "GITHUB_STEP_SUMMARY": str(clone.parent / "summary.md"),
            **{name: value for name, value in os.environ.items() if name.startswith("XDG_")},  # `own_folders`
        }
        done[step["name"]] = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=clone, env=environment | asked, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done[step["name"]].returncode:
            break
    return done


def clean_clone(repository: Path, name: str) -> Path:
    clone = repository.parent / name / "clone"
    clone.parent.mkdir()
    git(repository.parent, "clone", "--quiet", str(repository), str(clone))
    return clone


@pytest.mark.slow
@pytest.mark.timeout(1800)  # three exports, and the runner for Arm built from nothing
def test_the_action_passes_what_is_the_same_and_fails_what_grew(tmp_path: Path, own_folders: None) -> None:
    need(["git", "aarch64-linux-gnu-g++", "qemu-aarch64", "unshare"])
    repository = tmp_path / "repository"
    repository.mkdir()
    git(repository, "init", "--quiet")
    (repository / "mynet.py").write_text(NETWORK.format(count=2))
    git(repository, "add", "-A")
    git(repository, "commit", "--quiet", "-m", "a network")
    first = clean_clone(repository, "first")
    counted = run_action(first)
    assert list(counted) == ["Export and count", "Report"]  # there is no baseline yet, and the report says so
    assert counted["Export and count"].returncode == 0, counted["Export and count"].stderr
    assert "baseline.json" in counted["Report"].stderr
    (repository / "baseline.json").write_bytes((first / "edgedeploy-gate" / "head.json").read_bytes())
    git(repository, "add", "-A")
    git(repository, "commit", "--quiet", "-m", "the baseline")

    same = clean_clone(repository, "same")
    passed = run_action(same)
    assert [step.returncode for step in passed.values()] == [0, 0, 0], passed
    assert "no regression found" in (same.parent / "summary.md").read_text()
    assert {"report.html", "report.md", "report.xml"} <= {file.name for file in (same / "edgedeploy-gate").iterdir()}

    (repository / "mynet.py").write_text(NETWORK.format(count=3))
    git(repository, "commit", "--quiet", "-am", "one more convolution")
    failed = run_action(clean_clone(repository, "grown"))
    assert [step.returncode for step in failed.values()] == [0, 0, 1], failed
    assert "more instructions, exactly counted" in failed["Gate"].stderr
