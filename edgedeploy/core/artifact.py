"""Artifact: a file, and the manifest beside it that says what made it.

    artifacts/<model>/<target>/model.tflite | model.pte | model.onnx
                               manifest.json     what made the file; see Manifest
                               golden.npz        inputs and the float network's outputs for them

Nothing is ever parsed out of a file name. `golden.npz` lets `verify` and `bench` prove the file again, on this machine or
on a device, without torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ArtifactInvalid
from .files import sha256_of
from .parity import Parity
from .spec import TensorSpec

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
GOLDEN = "golden.npz"


@dataclass(frozen=True)
class Manifest:
    """What made an artifact's file, and what it takes and gives.

    Attributes:
        model, target, runner: names; `runner` is the runtime that runs the file.
        file: the file's name beside the manifest.
        inputs, outputs: with quantization where they are integer; `preprocessing` says how an image becomes an input.
        parity: one entry for each output, against the eager float network.
        floor: the parity that the target demands.
        made_by: source, weights, head, rewrites with their proofs, recipe, calibration, tool versions.
    """

    model: str
    target: str
    runner: str
    file: str
    sha256: str
    size_bytes: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parity: tuple[Parity, ...]
    floor: Mapping[str, float | None]
    macs: int | None = None
    task: str = ""
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    made_by: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As `manifest.json` has it."""
        record = asdict(self)
        record["parity"] = [parity.to_json() for parity in self.parity]
        return {"schema_version": SCHEMA_VERSION, **record}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Manifest:
        """The inverse; raises KeyError or TypeError for a record that is none. Keys that are new are ignored."""
        known = {name: record[name] for name in cls.__dataclass_fields__ if name in record}
        for side in ("inputs", "outputs"):
            known[side] = tuple(TensorSpec(**{**spec, "shape": tuple(spec["shape"])}) for spec in record[side])
        known["parity"] = tuple(Parity.from_json(parity) for parity in record["parity"])
        return cls(**known)


@dataclass(frozen=True)
class Golden:
    """Inputs, and what the eager float network gives for them, as float or label arrays in the network's own order."""

    inputs: list[list[NDArray[Any]]]
    outputs: list[list[NDArray[Any]]]

    def save(self, path: Path) -> None:
        """Writes a compressed .npz."""
        arrays = {}
        for kind, samples in (("input", self.inputs), ("output", self.outputs)):
            for s, sample in enumerate(samples):
                arrays.update({f"{kind}_{s}_{i}": array for i, array in enumerate(sample)})
        np.savez_compressed(path, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> Golden:
        """The inverse. Raises OSError or ValueError for a file that is none."""
        kinds: dict[str, dict[tuple[int, int], NDArray[Any]]] = {"input": {}, "output": {}}
        with np.load(path, allow_pickle=False) as file:
            for name in file.files:
                kind, sample, index = name.split("_")
                kinds[kind][int(sample), int(index)] = file[name]

        def nested(entries: dict[tuple[int, int], NDArray[Any]]) -> list[list[NDArray[Any]]]:
            count = 1 + max((s for s, _ in entries), default=-1)
            return [[entries[key] for key in sorted(entries) if key[0] == s] for s in range(count)]

        return cls(nested(kinds["input"]), nested(kinds["output"]))


@dataclass(frozen=True)
class Artifact:
    """A folder with a file and its manifest."""

    folder: Path
    manifest: Manifest

    @property
    def path(self) -> Path:
        """The file that runs."""
        return self.folder / self.manifest.file

    def __str__(self) -> str:
        return f"{self.manifest.model}/{self.manifest.target}"

    @classmethod
    def load(cls, place: Path) -> Artifact:
        """Reads an artifact from its folder, its manifest or its file. Raises ArtifactInvalid.

        The file's hash must be the manifest's: a file that was replaced, cut short or mixed up with another is refused.
        """
        folder = place if place.is_dir() else place.parent
        path = folder / MANIFEST
        if not path.is_file():
            raise ArtifactInvalid(
                f"{place} is no artifact", details=[f"there is no {MANIFEST} in {folder}"], hint="edgedeploy export"
            )
        try:
            manifest = Manifest.from_json(json.loads(path.read_text()))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ArtifactInvalid(
                f"{path} is damaged", details=[f"{type(error).__name__}: {error}"], hint="export the model again"
            ) from None
        artifact = cls(folder, manifest)
        if Path(manifest.file).name != manifest.file:
            raise ArtifactInvalid(f"{path} names a file outside its folder: {manifest.file!r}")
        if not artifact.path.is_file():
            raise ArtifactInvalid(f"{artifact.path} is missing", hint="export the model again")
        actual = sha256_of(artifact.path)
        if actual != manifest.sha256:
            raise ArtifactInvalid(
                f"{artifact.path} and its manifest do not belong together",
                details=[f"the manifest was written for sha256 {manifest.sha256}", f"the file has {actual}"],
                hint="export the model again, or put the right file back",
            )
        return artifact

    def golden(self) -> Golden | None:
        """The stored inputs and reference outputs, or None where there are none."""
        path = self.folder / GOLDEN
        if not path.is_file():
            return None
        try:
            return Golden.load(path)
        except (OSError, ValueError, KeyError) as error:
            raise ArtifactInvalid(f"{path} is damaged", details=[str(error)], hint="export the model again") from None


def find_artifacts(root: Path) -> Iterator[Path]:
    """Folders below `root` that hold a manifest, sorted; unfinished ones (dot names) are passed over."""
    for path in sorted(root.rglob(MANIFEST)):
        if not any(part.startswith(".") for part in path.relative_to(root).parts):
            yield path.parent


def quantize(array: NDArray[Any], spec: TensorSpec) -> NDArray[Any]:
    """Real values as an artifact's input stores them: round(x / scale) + zero_point, clamped; floats pass through."""
    if spec.scale is None or spec.zero_point is None:
        plain: NDArray[Any] = array.astype(spec.dtype)
        return plain
    limits = np.iinfo(spec.dtype)
    stored = np.rint(array / spec.scale) + spec.zero_point
    clamped: NDArray[Any] = np.clip(stored, limits.min, limits.max).astype(spec.dtype)
    return clamped


def dequantize(array: NDArray[Any], spec: TensorSpec) -> NDArray[Any]:
    """The inverse of `quantize`; arrays without a scale pass through."""
    if spec.scale is None or spec.zero_point is None:
        return array
    real: NDArray[Any] = (array.astype(np.float32) - np.float32(spec.zero_point)) * np.float32(spec.scale)
    return real
