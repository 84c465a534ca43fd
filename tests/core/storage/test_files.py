from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from edgedeploy.core.errors import OutputFailed
from edgedeploy.core.storage import files, folders


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
    killed = "import os, sys; from edgedeploy.core.storage import files; from pathlib import Path\n"
    killed += "with files.staged_folder(Path(sys.argv[1])): os._exit(9)"
    assert subprocess.run([sys.executable, "-c", killed, tmp_path / "final"]).returncode == 9
    (left,) = names(tmp_path)
    with files.staged_folder(tmp_path / "final") as living, files.staged_folder(tmp_path / "final"):
        assert left not in names(tmp_path)
        assert living.exists()  # of a process that lives: left alone
    assert names(tmp_path) == ["final"]


def test_a_file_in_the_place_of_a_folder_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputFailed, match="a file is where a folder should be"):
        files.check_writable(tmp_path / "file" / "artifacts")


def test_a_link_to_itself_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OutputFailed, match="loop"):
        files.check_writable(tmp_path / "loop" / "artifacts")


def test_a_file_that_cannot_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for wrong in (tmp_path, tmp_path / "file" / "rows.json"):
        with pytest.raises(OutputFailed, match="folder"):
            files.check_file_writable(wrong)
    for right in (tmp_path / "file", tmp_path / "new" / "rows.json", Path("/dev/null")):
        files.check_file_writable(right)
    assert names(tmp_path) == ["file"]


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


def test_a_link_is_followed_and_a_mode_kept(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "real.json").chmod(0o640)
    (tmp_path / "link.json").symlink_to("real.json")
    files.write_atomically(tmp_path / "link.json", "new")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "real.json").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "real.json").stat().st_mode) == 0o640


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True)
    files.write_atomically(pipe, "hello")
    assert reader.communicate(timeout=10)[0] == "hello"
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    monkeypatch.setattr(files, "PIPE_WAIT_S", 0.1)
    with pytest.raises(OutputFailed, match="a pipe that nobody reads"):
        files.write_atomically(pipe, "hello")


def test_the_file_that_is_stdout_is_written_through_and_not_replaced(tmp_path: Path) -> None:
    program = (
        "import os; from pathlib import Path; from edgedeploy.core.storage.files import write_atomically\n"
        "print('first'); write_atomically(Path(f'/proc/{os.getpid()}/fd/1'), 'record\\n'); print('last')"
    )
    with (tmp_path / "out").open("w") as out:
        subprocess.run([sys.executable, "-c", program], stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "first\nrecord\nlast\n"


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputFailed, match="is a folder"):
        files.write_atomically(tmp_path, "x")


def test_a_device_without_end_and_a_sparse_giant_are_not_read_into_memory(tmp_path: Path) -> None:
    (tmp_path / "giant").touch()
    os.truncate(tmp_path / "giant", 2**40)
    for path in (Path("/dev/zero"), tmp_path / "giant"):
        with pytest.raises(OSError, match="more than 1 MiB"):
            files.read_limited(path, 2**20)
    (tmp_path / "small").write_bytes(b"x")
    assert files.read_limited(tmp_path / "small") == b"x"


def test_a_pipe_is_read_to_its_end_and_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["sh", "-c", f"(echo one; sleep 0.2; echo two) > {pipe}"]):
        assert files.read_limited(pipe) == b"one\ntwo\n"
    monkeypatch.setattr(files, "READ_WAIT_S", 0.1)
    with pytest.raises(OSError, match="nothing was written to this pipe"):
        files.read_limited(pipe)


def own(folder: Path) -> set[str]:
    return {"model"}


def replace_folder(final: Path, content: str) -> None:
    with files.staged_folder(final, own) as stage:
        (stage / "model").write_text(content)


@pytest.mark.parametrize("can_exchange", [True, False])
def test_files_of_others_in_a_replaced_folder_are_kept(
    can_exchange: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can_exchange:
        monkeypatch.setattr(folders, "exchange", lambda *_: False)
    replace_folder(tmp_path / "final", "one")
    (tmp_path / "final" / "notes.txt").write_text("mine")
    replace_folder(tmp_path / "final", "two")
    assert {p.name: p.read_text() for p in (tmp_path / "final").iterdir()} == {"model": "two", "notes.txt": "mine"}
    assert names(tmp_path) == ["final"]


def test_a_file_of_others_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "final").mkdir()
    (tmp_path / "final" / "model").write_text("mine")
    with (
        pytest.raises(OutputFailed, match="not of an artifact"),
        files.staged_folder(tmp_path / "final", lambda _: set()) as stage,
    ):
        (stage / "model").write_text("new")
    assert (tmp_path / "final" / "model").read_text() == "mine"
    assert names(tmp_path) == ["final"]


def test_a_linked_folder_is_replaced_where_it_really_is(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "final").symlink_to("real")
    replace_folder(tmp_path / "final", "new")
    assert (tmp_path / "final").is_symlink()
    assert (tmp_path / "real" / "model").read_text() == "new"


REPLACES = """
import os, sys
from pathlib import Path
from edgedeploy.core.storage import files, folders
step, final = int(sys.argv[1]), Path(sys.argv[2])
if sys.argv[3] == "False":
    folders.exchange = lambda *_: False
def kill_at(function):
    def called(*arguments, **keywords):
        global step
        if step == 0:
            os._exit(9)
        step -= 1
        return function(*arguments, **keywords)
    return called
for name in ("rename", "chmod", "mkdir"):
    setattr(Path, name, kill_at(getattr(Path, name)))
folders.exchange, folders.shutil.rmtree = kill_at(folders.exchange), kill_at(folders.shutil.rmtree)
with files.staged_folder(final, lambda folder: {"model"}) as stage:
    (stage / "model").write_text("new")
"""


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_kill_at_any_step_loses_nothing_and_the_next_run_leaves_nothing_over(
    can_exchange: bool, tmp_path: Path
) -> None:
    for step in range(20):
        final = tmp_path / str(step) / "final"
        replace_folder(final, "old")
        (final / "notes.txt").write_text("mine")
        ended = subprocess.run([sys.executable, "-c", REPLACES, str(step), final, str(can_exchange)]).returncode
        if can_exchange:  # no moment without a whole folder
            assert (final / "model").read_text() in ("old", "new")
        with files.staged_folder(final, own) as stage:
            assert (final / "model").read_text() in ("old", "new")
            (stage / "model").write_text("next")
        assert {p.name: p.read_text() for p in final.iterdir()} == {"model": "next", "notes.txt": "mine"}
        assert names(final.parent) == ["final"]
        if ended == 0:
            break
    assert ended == 0
    assert step > 5


def test_processes_that_replace_one_folder_at_once_leave_one_whole_folder(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from edgedeploy.core.storage import files\n"
        "for n in range(30):\n"
        "    with files.staged_folder(Path(sys.argv[1]), lambda f: {'a', 'b'}) as stage:\n"
        "        [(stage / name).write_text(sys.argv[2]) for name in 'ab']\n"
    )
    final = tmp_path / "final"
    running = [subprocess.Popen([sys.executable, "-c", program, final, name]) for name in "123"]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert (final / "a").read_text() == (final / "b").read_text()
    assert names(tmp_path) == ["final"]


def test_private_folders_that_a_kill_left_go_with_the_next_run(tmp_path: Path) -> None:
    program = "import os, sys; from edgedeploy.core.storage import files\nwith files.private_folder(): {}"
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    (tmp_path / "edgedeploy-tmp-of-somebody-else").mkdir()
    subprocess.run([sys.executable, "-c", program.format("os._exit(9)")], env=environment)
    assert len(names(tmp_path)) == 2
    subprocess.run([sys.executable, "-c", program.format("pass")], env=environment, check=True)
    assert names(tmp_path) == ["edgedeploy-tmp-of-somebody-else"]
