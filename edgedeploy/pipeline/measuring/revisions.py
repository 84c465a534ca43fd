"""What git says of the code that is measured. Without git, or outside of a repository, there is nothing to say."""

from __future__ import annotations

import shutil
import subprocess

from edgedeploy.core.results.source import DIRTY, Source

from .recorded import REPLAY

TIME_LIMIT_S = 30


def source_here(device: str) -> Source | None:
    """The state of the repository of the current folder; None where there is none, and for a replay, which is of then."""
    if device.startswith(REPLAY):
        return None
    revision = git_revision()
    if not revision:
        return None
    return Source(revision, bool(_git("status", "--porcelain", "--untracked-files=no")))


def git_revision(name: str = "HEAD") -> str:
    """The full name of a revision of the repository in the current folder, with the mark of a dirty tree if `name` has it.

    "" where there is none.
    """
    commit = f"{name.removesuffix(DIRTY)}^{{commit}}"
    found = _git("rev-parse", "--verify", "--quiet", "--end-of-options", commit)
    return found + DIRTY if found and name.endswith(DIRTY) else found


def _git(*arguments: str) -> str:
    """What git prints; "" where it fails, is not there, or takes too long."""
    git = shutil.which("git")
    if git is None:
        return ""
    command = [git, "--no-optional-locks", *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, timeout=TIME_LIMIT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
