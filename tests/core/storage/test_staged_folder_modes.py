"""What a staged folder holds keeps what it is: programs can be run and folders entered."""

from __future__ import annotations

from pathlib import Path

from edgedeploy.core.storage.files import staged_folder


def test_programs_folders_and_links_keep_their_modes(tmp_path: Path) -> None:
    with staged_folder(tmp_path / "final") as stage:
        (stage / "program").write_text("#!/bin/sh\n")
        (stage / "program").chmod(0o700)
        (stage / "data").write_text("x")
        (stage / "data").chmod(0o600)
        (stage / "folder").mkdir(mode=0o755)
        (stage / "link").symlink_to("nowhere")
    modes = {name: (tmp_path / "final" / name).stat().st_mode & 0o777 for name in ("program", "data", "folder")}
    assert modes == {"program": 0o755, "data": 0o644, "folder": 0o755}
    assert (tmp_path / "final" / "link").is_symlink()
