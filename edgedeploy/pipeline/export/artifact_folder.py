"""Whose folder an artifact would be written to, checked before the work."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgedeploy.core.artifact import GOLDEN, MANIFEST, OPERATORS, RECIPE, Manifest, files_of_artifact
from edgedeploy.core.errors import UsageError
from edgedeploy.core.storage.files import check_replaceable
from edgedeploy.core.storage.json_records import RecordInvalid


def check_folder(folder: Path, source: Mapping[str, str], file: str) -> None:
    """Refuses a folder with the artifact of another network, or with files of the user that would be overwritten.

    Args:
        folder: the artifact's.
        source: of the network, as its manifest will have it.
        file: name of the file that a runtime opens.

    Raises UsageError, OutputFailed.
    """
    check_replaceable(folder, files_of_artifact, {file, MANIFEST, OPERATORS, GOLDEN, RECIPE})
    try:
        there = Manifest.from_json((folder / MANIFEST).read_bytes()).provenance.source
    except (OSError, RecordInvalid):
        return
    if not _is_same_network(there, source):
        raise UsageError(
            f"{folder} holds the artifact of another network of the same name",
            details=[f"there: {_described(there)}", f"now:   {_described(source)}"],
            hint="--output DIR with another folder, or remove the older artifact",
        )


def _is_same_network(there: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """A network of a file is the same as long as the file is; a file that is gone was perhaps moved."""
    if "model" not in there or "model" not in now:
        return ("model" in there) == ("model" in now)
    if "file" not in there or "file" not in now:
        return there["model"] == now["model"]
    attributes = [source["model"].rpartition(":")[2] for source in (there, now)]
    same_file = there["file"] == now["file"] or not Path(there["file"]).exists()
    return same_file and (attributes[0] == attributes[1] or now["file"].endswith(".pt2"))


def _described(source: Mapping[str, str]) -> str:
    model = source.get("model") or source.get("repository", "a network of the zoo")
    return f"{model} ({source['file']})" if "file" in source else model
