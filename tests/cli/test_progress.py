"""What the reporter prints to stderr."""

from __future__ import annotations

import pytest

from edgedeploy.cli.progress import RichReporter


def test_stages_and_notes_are_lines_and_details_are_shown_with_verbose_only(capfd: pytest.CaptureFixture[str]) -> None:
    for verbose in (False, True):
        reporter = RichReporter(verbose=verbose)
        with reporter.stage("build net"):
            reporter.advance(1, 2)
        reporter.note("pip install 'edgedeploy[torch]'")
        reporter.detail("12 operators")
    lines = [line.strip() for line in capfd.readouterr().err.splitlines()]
    assert [line.rpartition("  ")[0] for line in lines if line.startswith("build")] == ["build net"] * 2
    assert lines.count("note: pip install 'edgedeploy[torch]'") == 2
    assert lines.count("12 operators") == 1


def test_a_stage_that_fails_leaves_no_line(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="broken"), RichReporter().stage("build net"):
        raise ValueError("broken")
    assert capfd.readouterr().err == ""
