"""What users take into their CI: the composite GitHub action and the GitLab job of docs/ci.md, in a plain shell.

The steps run in a clean clone of a repository that uses them, with what the service gives them. Only what installs packages
is left out: this environment's edgedeploy is in the PATH instead. `gh` and `curl` are programs that write down what they
were asked. What is uploaded needs the service.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgedeploy.core.measurement import InstructionCount, ResultFile
from tests.cli.rows import measurement
from tests.phones import need

ROOT = Path(__file__).parent.parent
ACTION = ROOT / ".github" / "actions" / "edgedeploy-gate"
EMULATION = {"cmake", "g++", "gcc", "g++-aarch64-linux-gnu", "gcc-aarch64-linux-gnu", "ninja-build", "qemu-user"}
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


def program(folder: Path, name: str, *lines: str) -> None:
    """A program of this name that writes its arguments to NAME.log, and then does `lines`."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join(["#!/bin/sh", f'echo "$@" >>"{folder}/{name}.log"', *lines, ""]))
    (folder / name).chmod(0o755)


def shell(script: str, clone: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A script in a shell that has nothing but what the service gives it, and the programs beside the clone."""
    environment = {
        "PATH": f"{clone.parent / 'bin'}:{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(clone.parent),
        **{name: value for name, value in os.environ.items() if name.startswith("XDG_")},  # `own_folders`
    }
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=clone, env=environment | variables, capture_output=True, text=True, check=False,
    )  # fmt: skip


def run_action(clone: Path, *steps: str, event: str = "push") -> dict[str, subprocess.CompletedProcess[str]]:
    """The result of each of these steps (default: of all that need no service); one that fails ends the job."""
    action = yaml.safe_load((ACTION / "action.yml").read_text())
    given = {name: INPUTS.get(name, described.get("default", "")) for name, described in action["inputs"].items()}
    given = {f"inputs.{name}": value for name, value in given.items()}
    given |= {"github.token": "secret", "github.event.pull_request.number": "7"}
    done = {}
    for step in action["runs"]["steps"]:
        if "run" not in step or step["name"] == "Install" or (steps and step["name"] not in steps):
            continue
        if step.get("if") == "github.event_name == 'pull_request'" and event != "pull_request":
            continue
        asked = {
            name: re.sub(r"\$\{\{ ([\w.]+) \}\}", lambda found: given[found[1]], value)
            for name, value in step.get("env", {}).items()
        }
        github = {
            "GITHUB_ACTION_PATH": str(ACTION),
            "GITHUB_STEP_SUMMARY": str(clone.parent / "summary.md"),
            "GITHUB_REPOSITORY": "somebody/net",
        }
        done[step["name"]] = shell(step["run"], clone, github | asked)
        if done[step["name"]].returncode:
            break
    return done


def gitlab_job() -> dict[str, Any]:
    """The job of docs/ci.md."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs" / "ci.md").read_text(), re.DOTALL | re.MULTILINE)
    job: dict[str, Any] = yaml.safe_load(blocks[1])["edgedeploy-gate"]
    return job


def run_gitlab(clone: Path, *, merge_request: bool = False, counted: bool = False) -> subprocess.CompletedProcess[str]:
    """The job's script as one shell runs it. `counted`: head.json is there, so that nothing is exported and measured."""
    job = gitlab_job()
    variables = job["variables"] | {"CI_API_V4_URL": "https://example.org/api/v4"}
    if merge_request:
        variables |= {"CI_MERGE_REQUEST_IID": "7", "CI_MERGE_REQUEST_PROJECT_ID": "3"}
    lines = job["script"][2:] if counted else [line.replace("1x3x224x224", INPUTS["input"]) for line in job["script"]]
    return shell("\n".join(lines), clone, variables)


def counts(total: int) -> str:
    """A result file of one count."""
    count = InstructionCount("cortex-a76", total, {}, total, total, 0.0)
    row = measurement(instructions=count, samples_ns=(), sample_launches=(), latency_ns=None)
    return ResultFile.of([row]).to_json()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder in which the counting was done, with programs beside it that stand for GitHub's and the network's."""
    folder = tmp_path / "job" / "clone"
    (folder / "edgedeploy-gate").mkdir(parents=True)
    for path in ("edgedeploy-gate/head.json", "head.json"):
        (folder / path).write_text(counts(10**6))
    program(folder.parent / "bin", "gh")
    program(folder.parent / "bin", "curl")
    return folder


def baseline(clone: Path, total: int) -> None:
    for path in (INPUTS["baseline"], gitlab_job()["variables"]["BASELINE"]):
        (clone / path).parent.mkdir(exist_ok=True)
        (clone / path).write_text(counts(total))


def test_the_first_run_passes_and_says_how_to_store_a_baseline(clone: Path) -> None:
    done = run_action(clone, "Report", "Gate")
    assert [step.returncode for step in done.values()] == [0, 0], done
    assert "commit its `head.json` as `baseline.json`" in (clone.parent / "summary.md").read_text()
    assert "::warning title=edgedeploy gate::there is no baseline baseline.json" in done["Gate"].stdout
    assert (clone / "edgedeploy-gate" / "report.html").exists()


def test_a_growth_is_reported_and_fails_the_gate_and_what_was_made_is_kept(clone: Path) -> None:
    baseline(clone, 900_000)
    done = run_action(clone, "Report", "Gate")
    assert [step.returncode for step in done.values()] == [0, 1], done
    assert (clone.parent / "summary.md").read_text().startswith("**edgedeploy: 1 regression")
    (upload,) = (
        step for step in yaml.safe_load((ACTION / "action.yml").read_text())["runs"]["steps"] if "uses" in step
    )
    assert upload["if"] == "always()"


def test_a_baseline_of_another_runtime_is_said_in_the_log(clone: Path) -> None:
    baseline(clone, 10**6)
    stored = clone / INPUTS["baseline"]
    stored.write_text(stored.read_text().replace('"runtime_version": "1.31.1"', '"runtime_version": "1.30.0"'))
    done = run_action(clone, "Report", "Gate")
    assert [step.returncode for step in done.values()] == [2], done
    assert "runtime: onnxruntime 1.30.0 -> onnxruntime 1.31.1" in done["Report"].stderr


def test_the_comment_is_made_once_and_then_changed(clone: Path) -> None:
    run_action(clone, "Report", "Comment", event="pull_request")
    log = clone.parent / "bin" / "gh.log"
    assert (
        "--method POST repos/somebody/net/issues/7/comments --field body=@edgedeploy-gate/comment.md" in log.read_text()
    )
    assert (clone / "edgedeploy-gate" / "comment.md").read_text().startswith("<!-- edgedeploy gate -->\n**edgedeploy: ")
    program(clone.parent / "bin", "gh", 'case "$*" in *--paginate*) echo 41; echo 42 ;; esac')
    log.unlink()
    done = run_action(clone, "Report", "Comment", event="pull_request")
    assert done["Comment"].stdout == ""
    assert "--method PATCH repos/somebody/net/issues/comments/41 " in log.read_text()
    assert "POST" not in log.read_text()


def test_a_comment_that_is_not_allowed_is_said_in_the_log_and_the_summary(clone: Path) -> None:
    program(clone.parent / "bin", "gh", "echo 'HTTP 403: Resource not accessible by integration' >&2", "exit 1")
    done = run_action(clone, "Report", "Comment", "Gate", event="pull_request")
    assert [step.returncode for step in done.values()] == [0, 0, 0], done
    for text in (done["Comment"].stdout, (clone.parent / "summary.md").read_text()):
        assert "needs 'permissions: pull-requests: write'" in text
        assert "HTTP 403: Resource not accessible by integration" in text


def test_the_workflow_of_the_documentation_may_comment_and_gives_the_action_what_it_takes() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs" / "ci.md").read_text(), re.DOTALL | re.MULTILINE)
    workflow = yaml.safe_load(blocks[0])
    assert workflow["permissions"] == {"contents": "read", "pull-requests": "write"}
    step = workflow["jobs"]["gate"]["steps"][-1]
    assert (ROOT / step["uses"]).resolve() == ACTION
    assert set(step["with"]) <= set(yaml.safe_load((ACTION / "action.yml").read_text())["inputs"])


def test_both_install_what_the_emulation_needs_and_take_a_system_whose_emulator_can_count() -> None:
    steps = yaml.safe_load((ACTION / "action.yml").read_text())["runs"]["steps"]
    job = gitlab_job()
    assert set(steps[0]["run"].split()) >= EMULATION
    assert set(" ".join(job["before_script"]).split()) >= EMULATION
    assert job["image"] == "python:3.11-bookworm"
    assert set((ROOT / "android_harness" / "packages.txt").read_text().splitlines()) >= EMULATION


def test_the_gitlab_job_passes_without_a_baseline_and_fails_on_a_growth(clone: Path) -> None:
    first = run_gitlab(clone, counted=True)
    assert first.returncode == 0, first
    assert "commit it as .ci/instructions.json" in first.stdout
    baseline(clone, 10**6)
    assert run_gitlab(clone, counted=True).returncode == 0
    assert not (clone.parent / "bin" / "curl.log").exists()
    baseline(clone, 900_000)
    grown = run_gitlab(clone, merge_request=True, counted=True)
    assert grown.returncode == 1, grown
    asked = (clone.parent / "bin" / "curl.log").read_text()
    assert "body@report.md https://example.org/api/v4/projects/3/merge_requests/7/notes" in asked
    assert {"report.html", "report.xml", "report.md"} <= {file.name for file in clone.iterdir()}
    program(clone.parent / "bin", "curl", "exit 22")
    assert "No comment was made" in run_gitlab(clone, merge_request=True, counted=True).stdout


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
    assert [step.returncode for step in counted.values()] == [0, 0, 0], counted  # there is no baseline yet
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
    grown = clean_clone(repository, "grown")
    failed = run_action(grown)
    assert [step.returncode for step in failed.values()] == [0, 0, 1], failed
    assert "more instructions, exactly counted" in failed["Gate"].stderr


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_gitlab_job_counts_and_compares(tmp_path: Path, own_folders: None) -> None:
    need(["git", "aarch64-linux-gnu-g++", "qemu-aarch64", "unshare"])
    clone = tmp_path / "job" / "clone"
    clone.mkdir(parents=True)
    (clone / "mynet.py").write_text(NETWORK.format(count=2))
    first = run_gitlab(clone)
    assert first.returncode == 0, first
    (clone / ".ci").mkdir()
    shutil.copy(clone / "head.json", clone / ".ci" / "instructions.json")
    (clone / "mynet.py").write_text(NETWORK.format(count=3))
    failed = run_gitlab(clone)
    assert failed.returncode == 1, failed
    assert "more instructions, exactly counted" in failed.stderr
