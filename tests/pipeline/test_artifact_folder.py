"""Whose folder an export writes to: another network's artifact and files of the user are not lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgedeploy.core.artifact import Artifact, files_of_artifact, write_manifest
from edgedeploy.core.errors import OutputFailed, UsageError
from edgedeploy.core.storage.files import staged_folder
from edgedeploy.pipeline.export.artifact_folder import check_folder
from tests.small_artifacts import convolution


def artifact_of(folder: Path, source: dict[str, str]) -> Artifact:
    """An artifact whose manifest has this source."""
    manifest = convolution(folder).manifest
    write_manifest(folder, replace(manifest, provenance=replace(manifest.provenance, source=source)), ())
    return Artifact.load(folder)


@pytest.mark.parametrize(
    ("there", "now", "same"),
    [
        ({"model": "a/net.py:make", "file": "a"}, {"model": "net.py:make", "file": "a"}, True),
        ({"model": "net.py:make", "file": "a"}, {"model": "net.py:make", "file": "b"}, False),
        ({"model": "net.py:make", "file": "a"}, {"model": "net.py:Make", "file": "a"}, False),
        ({"model": "net.py:make", "file": "gone"}, {"model": "net.py:make", "file": "b"}, True),
        ({"model": "timm:a_b"}, {"model": "timm:a-b"}, False),
        ({"repository": "r"}, {"repository": "r2"}, True),
        ({"repository": "r"}, {"model": "timm:a"}, False),
    ],
)
def test_two_networks_of_one_name_do_not_share_a_folder(
    there: dict[str, str], now: dict[str, str], same: bool, tmp_path: Path
) -> None:
    for name in "ab":
        (tmp_path / name).touch()
    sources = [{key: str(tmp_path / text) if key == "file" else text for key, text in s.items()} for s in (there, now)]
    folder = artifact_of(tmp_path / "artifact", sources[0]).folder
    if same:
        check_folder(folder, sources[1], "model.onnx")
    else:
        with pytest.raises(UsageError, match="another network of the same name"):
            check_folder(folder, sources[1], "model.onnx")


def test_a_new_artifact_replaces_an_older_one_and_keeps_what_else_is_there(tmp_path: Path) -> None:
    folder = artifact_of(tmp_path / "artifact", {}).folder
    (folder / "notes.txt").write_text("mine")
    with staged_folder(folder, files_of_artifact) as stage:
        (stage / "model.onnx").write_bytes(b"new")
    assert {path.name for path in folder.iterdir()} == {"model.onnx", "notes.txt"}


def test_a_model_of_the_user_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"mine")
    with pytest.raises(OutputFailed, match="not of an artifact"):
        check_folder(tmp_path, {}, "model.onnx")


def test_a_damaged_artifact_can_be_replaced(tmp_path: Path) -> None:
    folder = artifact_of(tmp_path / "artifact", {}).folder
    (folder / "manifest.json").write_text("{")
    check_folder(folder, {"model": "timm:a"}, "model.onnx")
