"""Calibration samples from arrays: for networks that do not take one RGB image, or whose preprocessing is not ours.

samples.npz          an array for each input, by its name, of N samples
folder/*.npy         a file for each sample; for networks of one input
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedeploy.core.errors import CalibrationInvalid
from edgedeploy.core.provenance import CalibrationInfo
from edgedeploy.core.spec import TensorSpec

Sample = tuple[NDArray[Any], ...]
HINT = "an .npz file with an array of N samples for each input by name, or a folder of .npy files for one input"


def holds_arrays(path: Path) -> bool:
    """Whether `--calib` names arrays, not images."""
    return path.suffix.lower() == ".npz" or (path.is_dir() and any(path.glob("*.npy")))


def samples_from_arrays(
    path: Path, inputs: Sequence[TensorSpec], count: int
) -> tuple[tuple[Sample, ...], CalibrationInfo]:
    """At most `count` samples, and what the manifest keeps of them. Raises CalibrationInvalid.

    Args:
        path: an .npz file or a folder of .npy files.
        inputs: of the network. An array of N samples has the shape (N, ...) of the input without a batch of 1, or with it.
    """
    if path.is_dir():
        if len(inputs) > 1:
            raise CalibrationInvalid(
                f"{path} has one array a sample, the network takes {len(inputs)} inputs", hint=HINT
            )
        files = sorted(path.glob("*.npy"))[:count]
        stacks = {inputs[0].name: [_load(file, file.name, inputs[0]) for file in files]}
    else:
        files = [path]
        stacks = _from_npz(path, inputs, count)
    counts = {name: len(stack) for name, stack in stacks.items()}
    if len(set(counts.values())) > 1 or not all(counts.values()):
        listed = ", ".join(f"{name} {number}" for name, number in counts.items())
        raise CalibrationInvalid(f"{path} does not have as many samples of each input: {listed}", hint=HINT)
    samples = tuple(zip(*(stacks[spec.name] for spec in inputs), strict=True))
    digest = hashlib.sha256()
    for sample in samples:
        for array in sample:
            digest.update(np.ascontiguousarray(array).tobytes())
    return samples, CalibrationInfo(str(path), len(samples), len(files), digest.hexdigest())


def _from_npz(path: Path, inputs: Sequence[TensorSpec], count: int) -> dict[str, list[NDArray[Any]]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # numpy and zipfile raise many kinds for a damaged file
        raise CalibrationInvalid(f"{path} cannot be read: {error}", hint=HINT) from None
    missing = [spec.name for spec in inputs if spec.name not in arrays]
    if missing:
        raise CalibrationInvalid(
            f"{path} has no array '{missing[0]}'", details=[f"it has: {', '.join(arrays) or 'nothing'}"], hint=HINT
        )
    return {spec.name: _split(arrays, spec, count, path) for spec in inputs}


def _split(arrays: Mapping[str, NDArray[Any]], spec: TensorSpec, count: int, path: Path) -> list[NDArray[Any]]:
    stack = arrays[spec.name]
    without_batch = spec.shape[1:] if spec.shape[0] == 1 else spec.shape
    if stack.shape[1:] not in (without_batch, spec.shape):
        raise CalibrationInvalid(
            f"the array '{spec.name}' of {path} has the shape {stack.shape}, not (N, {str(without_batch)[1:]}",
            hint=HINT,
        )
    return [_checked(sample.reshape(spec.shape), spec, str(path)) for sample in stack[:count]]


def _load(path: Path, name: str, spec: TensorSpec) -> NDArray[Any]:
    try:
        array = np.load(path, allow_pickle=False)
    except Exception as error:  # numpy raises many kinds for a damaged file
        raise CalibrationInvalid(f"{path} cannot be read: {error}", hint=HINT) from None
    if array.shape not in (spec.shape, spec.shape[1:]):
        raise CalibrationInvalid(f"{name} has the shape {array.shape}, the network takes {spec.shape}", hint=HINT)
    return _checked(array.reshape(spec.shape), spec, name)


def _checked(array: NDArray[Any], spec: TensorSpec, where: str) -> NDArray[Any]:
    """The array in the input's type."""
    wanted = np.dtype(spec.dtype)
    if not np.can_cast(array.dtype, wanted, "same_kind"):
        raise CalibrationInvalid(f"'{spec.name}' in {where} is {array.dtype}, the network takes {wanted}", hint=HINT)
    if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
        raise CalibrationInvalid(f"'{spec.name}' in {where} has values that are not finite", hint="leave it out")
    return array.astype(wanted)
