from __future__ import annotations

import os
from pathlib import Path

import pytest

import edgedeploy
from edgedeploy.core.artifact import Artifact
from edgedeploy.core.errors import UsageError
from edgedeploy.pipeline.destinations import check_destinations
from tests.small_artifacts import convolution


def test_results_are_not_written_over_an_artifact_or_through_a_link_to_it(tmp_path: Path) -> None:
    artifact: Artifact = convolution(tmp_path / "net")
    (tmp_path / "link").symlink_to(artifact.path)
    for file in (artifact.path, artifact.folder / "manifest.json", tmp_path / "link"):
        with pytest.raises(UsageError, match="belongs to an artifact"):
            edgedeploy.bench([artifact], json_file=file)
    check_destinations([artifact.folder / "bench.json"])


def test_two_results_do_not_share_a_file_unless_it_is_a_device(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="written twice"):
        check_destinations([tmp_path / "a", tmp_path / "b" / ".." / "a"])
    check_destinations([Path(os.devnull), Path(os.devnull)])


def test_a_result_is_not_written_over_what_the_command_reads(tmp_path: Path) -> None:
    (tmp_path / "base.json").write_text("{}")
    with pytest.raises(UsageError, match="read by this command"):
        check_destinations([tmp_path / "base.json"], inputs=[tmp_path, tmp_path / "base.json"])
