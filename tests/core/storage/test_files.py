from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgedeploy.core.errors import OutputFailed
from edgedeploy.core.storage import files


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_written_file_is_whole_and_alone(tmp_path: Path) -> None:
    files.write_atomically(tmp_path / "deep" / "a.txt", "hello")
    assert (tmp_path / "deep" / "a.txt").read_text() == "hello"
    assert names(tmp_path / "deep") == ["a.txt"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputFailed, match="the disk is full"):
        files.write_atomically(target, "new")
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_staged_folder_appears_only_when_its_block_ends_well(tmp_path: Path) -> None:
    with files.staged_folder(tmp_path / "final") as stage:
        (stage / "f").write_text("1")
        assert not (tmp_path / "final").exists()
    assert (tmp_path / "final" / "f").read_text() == "1"
    assert names(tmp_path) == ["final"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_an_interrupted_block_leaves_nothing_and_keeps_the_older_folder(
    tmp_path: Path, interruption: type[BaseException]
) -> None:
    (tmp_path / "final").mkdir()
    (tmp_path / "final" / "f").write_text("old")

    def export() -> None:
        with files.staged_folder(tmp_path / "final") as stage:
            (stage / "f").write_text("half")
            raise interruption

    with pytest.raises(interruption):
        export()
    assert (tmp_path / "final" / "f").read_text() == "old"
    assert names(tmp_path) == ["final"]


def test_what_a_killed_process_left_behind_goes_with_the_next_export(tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    (tmp_path / f".final.{dead.stdout.strip()}-abcd.tmp").mkdir()
    (tmp_path / f".final.{os.getpid()}-abcd.tmp").mkdir()  # of a process that lives: left alone
    with files.staged_folder(tmp_path / "final"):
        pass
    assert names(tmp_path) == [f".final.{os.getpid()}-abcd.tmp", "final"]


def test_a_file_in_the_place_of_a_folder_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputFailed, match="a file is where a folder should be"):
        files.check_writable(tmp_path / "file" / "artifacts")


def test_a_folder_without_permission_is_told_before_the_work(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)  # root may write anywhere, nobody may not
    try:
        with pytest.raises(OutputFailed, match="cannot be written"):
            files.check_writable(tmp_path / "artifacts")
    finally:
        os.seteuid(was)


def test_a_refusal_of_the_system_names_the_file_and_what_to_do(tmp_path: Path) -> None:
    error = files.explain(tmp_path / "a", OSError(errno.EACCES, "Permission denied"))
    assert str(tmp_path / "a") in str(error)
    assert "--output" in str(error)
