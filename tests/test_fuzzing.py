"""Whatever a file holds, its reader gives a result or an EdgedeployError, and never another exception.

Each reader gets a valid file that hypothesis has damaged. The draws are seeded by the test's name, so a run repeats itself.
A few examples run always; `make test-all` runs many.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file

from edgedeploy.android_harness.protocol import parse_answer
from edgedeploy.android_harness.tensor_files import read_tensors, write_tensors
from edgedeploy.benchmarks.devices.discovery import parse_device, read_aliases
from edgedeploy.benchmarks.history.records import make_record
from edgedeploy.benchmarks.history.store import read_line
from edgedeploy.core.artifact import GOLDEN, MANIFEST, OPERATORS, Artifact
from edgedeploy.core.errors import EdgedeployError
from edgedeploy.core.measurement import ResultFile
from edgedeploy.core.results.result_files import read_results
from edgedeploy.core.spec import Preprocessing
from edgedeploy.core.storage.json_records import encode_line, write_record
from edgedeploy.data.calibration import calibration_from_folder
from edgedeploy.models.loading.checkpoints import load_checkpoint
from edgedeploy.pipeline.verification import stored_inputs
from tests.android_harness.test_protocol import complete_answer, lines
from tests.cli.rows import measurement
from tests.mutations import damaged
from tests.small_artifacts import convolution

FEW, MANY = 15, 1500


@dataclass(frozen=True)
class Reader:
    """A kind of file.

    Attributes:
        make: writes a valid file below a folder and returns its path.
        read: what a command does with it.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    is_json: bool = False


def _artifact_file(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        convolution(folder / "artifact", channels=2)
        return folder / "artifact" / name

    return make


def _read_artifact(path: Path) -> None:
    artifact = Artifact.load(path.parent)
    artifact.operators()
    stored_inputs(artifact, artifact.golden())


def _results(folder: Path) -> Path:
    write_record(folder / "results.json", ResultFile((measurement(), measurement())))
    return folder / "results.json"


def _tensors(folder: Path) -> Path:
    write_tensors(folder / "inputs", [np.zeros((1, 2), np.float32), np.ones(3, np.int8)])
    return folder / "inputs"


def _answer(folder: Path) -> Path:
    (folder / "answer").write_text(lines(complete_answer()), encoding="utf-8")
    return folder / "answer"


def _aliases(folder: Path) -> Path:
    text = '[devices]\ndesk = "adb:R5CT10XYZ"\nboard = "ssh:pi@192.0.2.8"\n'
    (folder / "edgedeploy.toml").write_text(text, encoding="utf-8")
    return folder / "edgedeploy.toml"


def _read_aliases(path: Path) -> None:
    aliases = read_aliases(path.parent)
    for alias in aliases:
        parse_device(alias, aliases)


def _image(ending: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        Image.new("RGB", (9, 7), (10, 200, 30)).save(folder / f"image{ending}")
        return folder / f"image{ending}"

    return make


def _read_image(path: Path) -> None:
    calibration_from_folder(path.parent, (8, 8), Preprocessing(), 8)


def _pickle(folder: Path) -> Path:
    torch.save({"state_dict": {"weight": torch.zeros(2, 2)}}, folder / "net.pth")
    return folder / "net.pth"


def _safetensors(folder: Path) -> Path:
    save_file({"weight": torch.zeros(2, 2)}, folder / "net.safetensors")
    return folder / "net.safetensors"


def _history(folder: Path) -> Path:
    line = encode_line(make_record(measurement(), "abc", "2026-01-01T00:00:00+00:00"))
    (folder / "history.jsonl").write_text(line, encoding="utf-8")
    return folder / "history.jsonl"


READERS = {
    "manifest": Reader(_artifact_file(MANIFEST), _read_artifact, is_json=True),
    "operators": Reader(_artifact_file(OPERATORS), _read_artifact, is_json=True),
    "golden sample": Reader(_artifact_file(GOLDEN), _read_artifact),
    "results": Reader(_results, read_results, is_json=True),
    "tensor file": Reader(_tensors, read_tensors),
    "runner's answer": Reader(
        _answer, lambda path: parse_answer(path.read_text(encoding="utf-8", errors="replace"), exit_code=0)
    ),
    "edgedeploy.toml": Reader(_aliases, _read_aliases),
    "PNG": Reader(_image(".png"), _read_image),
    "JPEG": Reader(_image(".jpg"), _read_image),
    "BMP": Reader(_image(".bmp"), _read_image),
    "WebP": Reader(_image(".webp"), _read_image),
    "pickled checkpoint": Reader(_pickle, load_checkpoint),
    "safetensors checkpoint": Reader(_safetensors, load_checkpoint),
    "history line": Reader(_history, lambda path: read_line(path.read_bytes(), str(path), 1), is_json=True),
}


@pytest.mark.parametrize("examples", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", READERS)
def test_a_damaged_file_is_read_or_refused(kind: str, examples: int, tmp_path: Path) -> None:
    reader = READERS[kind]
    path = reader.make(tmp_path)
    valid = path.read_bytes()
    with contextlib.suppress(EdgedeployError):  # one image is too few, which is said
        reader.read(path)

    @settings(
        max_examples=examples, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        path.write_bytes(data.draw(damaged(valid, is_json=reader.is_json)))
        with warnings.catch_warnings(), contextlib.suppress(EdgedeployError):
            warnings.simplefilter("ignore")
            reader.read(path)

    check()


def test_the_readers_read_what_is_not_damaged(tmp_path: Path) -> None:
    for name, reader in READERS.items():
        if reader.read is not _read_image:  # which needs eight
            folder = tmp_path / name.replace(" ", "-")
            folder.mkdir()
            reader.read(reader.make(folder))
