from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgedeploy.core.errors import CalibrationInvalid
from edgedeploy.core.spec import TensorSpec
from edgedeploy.data.arrays import holds_arrays, samples_from_arrays

IMAGE, TOKENS = TensorSpec("image", (1, 4, 8, 8)), TensorSpec("tokens", (1, 6), "int64")


def test_an_archive_has_an_array_of_samples_for_each_input(tmp_path: Path) -> None:
    path = tmp_path / "samples.npz"
    images, tokens = (
        np.random.default_rng(0).standard_normal((5, 4, 8, 8)),
        np.arange(30, dtype=np.int32).reshape(5, 1, 6),
    )
    np.savez(path, image=images, tokens=tokens)
    samples, info = samples_from_arrays(path, (IMAGE, TOKENS), 3)
    assert holds_arrays(path)
    assert (info.count, info.files, len(samples)) == (3, 1, 3)
    assert [(a.shape, a.dtype.name) for a in samples[2]] == [((1, 4, 8, 8), "float32"), ((1, 6), "int64")]
    assert np.array_equal(samples[2][1], tokens[2])
    assert info.sha256 == samples_from_arrays(path, (IMAGE, TOKENS), 3)[1].sha256


def test_a_folder_has_a_file_for_each_sample(tmp_path: Path) -> None:
    for index in range(4):
        np.save(tmp_path / f"{index}.npy", np.full((4, 8, 8), index, np.float32))
    samples, info = samples_from_arrays(tmp_path, (IMAGE,), 32)
    assert holds_arrays(tmp_path)
    assert (info.count, info.files) == (4, 4)
    assert [float(array.max()) for (array,) in samples] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"image": np.zeros((2, 4, 8, 8))}, "has no array 'tokens'"),
        ({"image": np.zeros((2, 4, 8, 8)), "tokens": np.zeros((3, 6), int)}, "image 2, tokens 3"),
        ({"image": np.zeros((2, 3, 8, 8)), "tokens": np.zeros((2, 6), int)}, "has the shape"),
        ({"image": np.zeros((2, 4, 8, 8)), "tokens": np.zeros((2, 6))}, "is float64, the network takes int64"),
        ({"image": np.full((2, 4, 8, 8), np.nan), "tokens": np.zeros((2, 6), int)}, "not finite"),
        ({"image": np.zeros((0, 4, 8, 8)), "tokens": np.zeros((0, 6), int)}, "image 0"),
    ],
    ids=["missing", "counts", "shape", "type", "NaN", "empty"],
)
def test_what_does_not_fit_is_refused(arrays: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "samples.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(CalibrationInvalid, match=message):
        samples_from_arrays(tmp_path / "samples.npz", (IMAGE, TOKENS), 8)


def test_pickles_and_damaged_files_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", image=np.array([{}], dtype=object))
    (tmp_path / "text.npz").write_text("no archive")
    for name in ("objects.npz", "text.npz", "absent.npz"):
        with pytest.raises(CalibrationInvalid, match="cannot be read"):
            samples_from_arrays(tmp_path / name, (IMAGE,), 8)
