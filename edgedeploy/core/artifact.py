"""Artifact: a file, and the manifest beside it that describes what made it.

    artifacts/<model>/<target>/model.tflite | model.pte | model.onnx
                               manifest.json     what made the file; see Manifest
                               operators.json    every operator of the file, with the module it came from
                               golden.npz        inputs and the float network's outputs for them
                               recipe.toml       how numbers are stored and computed, as --recipe takes it

Nothing is ever parsed out of a file name. `golden.npz` lets `verify` and `bench` compare the file with the reference again,
on this machine or on a device, without torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .backends import BACKENDS
from .errors import ArtifactInvalid
from .parity import Parity, Threshold
from .provenance import OperatorFact, Provenance
from .results.evaluation import Evaluation
from .spec import Preprocessing, TensorSpec
from .storage.files import read_limited, sha256_of
from .storage.json_records import RecordInvalid, decode, encode, write_record

SCHEMA_VERSION = 2
MANIFEST = "manifest.json"
OPERATORS = "operators.json"
GOLDEN = "golden.npz"
RECIPE = "recipe.toml"
NHWC = "NHWC"  # TensorSpec.layout of channels-last images


@dataclass(frozen=True)
class ArtifactFile:
    """One of the files that a runtime needs; `name` is relative to the artifact's folder."""

    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Manifest:
    """What an artifact's file takes and gives, and what made it.

    Attributes:
        runtime: the runtime that runs the file: "onnxruntime", "executorch" or "litert".
        file, sha256, size_bytes: the file that a runtime opens.
        inputs, outputs: with quantization where they are integer.
        parity: one entry for each output, against the eager float network.
        threshold: the parity that the target demands.
        provenance: what made the file.
        macs: multiply-accumulates of one inference.
        task: "classification", "segmentation", "features" or "".
        preprocessing: how an image becomes the input; None where the network takes no image.
        more_files: files that must lie beside `file`, such as external weights.
        evaluations: what it reached on labelled data, the newest last; one for each data set, device and metric.
    """

    schema_version: int = field(default=SCHEMA_VERSION, kw_only=True)
    model: str
    target: str
    runtime: str
    file: str
    sha256: str
    size_bytes: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parity: tuple[Parity, ...]
    threshold: Threshold
    provenance: Provenance
    macs: int | None = None
    task: str = ""
    preprocessing: Preprocessing | None = None
    more_files: tuple[ArtifactFile, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()

    @property
    def files(self) -> tuple[ArtifactFile, ...]:
        """Every file that a runtime needs, the one that it opens first."""
        return (ArtifactFile(self.file, self.sha256, self.size_bytes), *self.more_files)

    def to_json(self) -> str:
        """As `manifest.json` has it."""
        return encode(self)

    @classmethod
    def from_json(cls, data: str | bytes) -> Manifest:
        """The inverse of `to_json`. Raises RecordInvalid, which names the key. Unknown keys are ignored."""
        return decode(data, cls, schema_version=SCHEMA_VERSION)


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
    def load(cls, path: Path) -> Artifact:
        """Reads an artifact from its folder, its manifest or its file. Raises ArtifactInvalid.

        The file's hash must be the manifest's: a file that was replaced, cut short or mixed up with another is refused.
        """
        asked, folder = path, path if path.is_dir() else path.parent
        path = folder / MANIFEST
        if not path.is_file():
            missing = f"there is no {MANIFEST} in {folder}" if asked.exists() else "there is no such file or folder"
            raise ArtifactInvalid(f"{asked} is not an artifact", details=[missing], hint="edgedeploy export")
        try:
            manifest = Manifest.from_json(read_limited(path))
        except (RecordInvalid, OSError) as error:
            raise ArtifactInvalid(
                f"{path} cannot be read", details=[str(error)], hint="export the model again"
            ) from None
        if not manifest.inputs or not manifest.outputs or manifest.threshold == Threshold():
            raise ArtifactInvalid(
                f"{path} describes nothing that could be verified",
                details=["it needs inputs, outputs and a threshold"],
                hint="export the model again",
            )
        for file in manifest.files:
            _check_file(folder, file, path)
        return cls(folder, manifest)

    def operators(self) -> tuple[OperatorFact, ...]:
        """Every operator of the file, in the format's order; empty where none were stored. Raises ArtifactInvalid."""
        path = self.folder / OPERATORS
        if not path.is_file():
            return ()
        try:
            return decode(path.read_bytes(), tuple[OperatorFact, ...])
        except (RecordInvalid, OSError) as error:
            raise ArtifactInvalid(
                f"{path} cannot be read", details=[str(error)], hint="export the model again"
            ) from None

    def golden(self) -> Golden | None:
        """The stored inputs and reference outputs, or None where there are none."""
        path = self.folder / GOLDEN
        if not path.is_file():
            return None
        try:
            golden = Golden.load(path)
        except Exception as error:  # zipfile, zlib and numpy raise many kinds for a damaged file
            raise ArtifactInvalid(f"{path} is damaged", details=[str(error)], hint="export the model again") from None
        wanted = (len(self.manifest.inputs), len(self.manifest.outputs))
        counts = set(zip_longest(map(len, golden.inputs), map(len, golden.outputs), fillvalue=0))
        if counts != {wanted}:
            raise ArtifactInvalid(
                f"{path} does not fit the manifest",
                details=[f"{wanted[0]} inputs and {wanted[1]} outputs are described, it holds {sorted(counts)}"],
                hint="export the model again",
            )
        specs = (*self.manifest.inputs, *self.manifest.outputs)
        for inputs, outputs in zip(golden.inputs, golden.outputs, strict=True):
            for spec, array in zip(specs, (*inputs, *outputs), strict=True):
                shape = _shape_in_file(array, spec)
                if shape != spec.shape:
                    raise ArtifactInvalid(
                        f"{path} does not fit the manifest",
                        details=[f"{spec.name} is described as {spec.shape}, it holds {shape}"],
                        hint="export the model again",
                    )
        return golden


def write_manifest(folder: Path, manifest: Manifest, operators: tuple[OperatorFact, ...]) -> None:
    """Writes what describes an artifact's file beside it. Raises OutputFailed."""
    write_record(folder / MANIFEST, manifest)
    write_record(folder / OPERATORS, operators)


def add_evaluation(folder: Path, made: Evaluation) -> None:
    """Writes an evaluation into an artifact's manifest, in the place of an older one of the same kind.

    The manifest is read anew, since an evaluation may take hours. Raises ArtifactInvalid where the artifact was replaced
    meanwhile, OutputFailed.
    """
    manifest = Artifact.load(folder).manifest
    if manifest.sha256 != made.artifact_sha256:
        raise ArtifactInvalid(
            f"{folder} was exported again while it was evaluated", hint="evaluate it again; what was done is kept"
        )
    kept = tuple(other for other in manifest.evaluations if other.kind != made.kind)
    write_record(folder / MANIFEST, replace(manifest, evaluations=(*kept, made)))


def files_of_artifact(folder: Path) -> set[str]:
    """Names of the files in a folder that make an artifact; empty where there is no manifest.

    A damaged manifest does not say which file it describes: then it is every file that a target could have written.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return set()
    try:
        described = {file.name for file in Manifest.from_json(path.read_bytes()).files}
    except (OSError, RecordInvalid):
        described = {backend.file for backend in BACKENDS}
    return {MANIFEST, OPERATORS, GOLDEN, RECIPE, *described}


def _check_file(folder: Path, file: ArtifactFile, manifest: Path) -> None:
    """Raises ArtifactInvalid for a file that is missing, outside the folder, or another one than the manifest describes."""
    if Path(file.name).name != file.name:
        raise ArtifactInvalid(f"{manifest} names a file outside its folder: {file.name!r}")
    path = folder / file.name
    if not path.is_file():
        raise ArtifactInvalid(f"{path} is missing", hint="export the model again")
    actual = sha256_of(path)
    if actual != file.sha256:
        raise ArtifactInvalid(
            f"{path} and its manifest do not belong together",
            details=[f"the manifest was written for sha256 {file.sha256}", f"the file has {actual}"],
            hint="export the model again, or put the right file back",
        )


def find_artifacts(root: Path) -> Iterator[Path]:
    """Folders below `root` that hold a manifest, sorted; unfinished ones (dot names) are passed over."""
    for path in sorted(root.rglob(MANIFEST)):
        if not any(part.startswith(".") for part in path.relative_to(root).parts):
            yield path.parent


def to_file(array: NDArray[Any], spec: TensorSpec) -> NDArray[Any]:
    """An input in the network's own form as the artifact's file takes it.

    Images go from NCHW to the file's layout; real values become round(x / scale) + zero_point, clamped, where the file
    stores integers.
    """
    if spec.layout == NHWC:
        array = np.ascontiguousarray(array.transpose(0, 2, 3, 1))
    if spec.scale is None or spec.zero_point is None:
        plain: NDArray[Any] = array.astype(spec.dtype)
        return plain
    limits = np.iinfo(spec.dtype)
    stored = np.rint(array / spec.scale) + spec.zero_point
    clamped: NDArray[Any] = np.clip(stored, limits.min, limits.max).astype(spec.dtype)
    return clamped


def _shape_in_file(array: NDArray[Any], spec: TensorSpec) -> tuple[int, ...]:
    """Of a value in the network's own form."""
    shape = array.shape
    return (shape[0], *shape[2:], shape[1]) if spec.layout == NHWC and len(shape) > 1 else shape


def from_file(array: NDArray[Any], spec: TensorSpec) -> NDArray[Any]:
    """The inverse of `to_file`, for outputs."""
    if spec.layout == NHWC:
        array = np.ascontiguousarray(array.transpose(0, 3, 1, 2))
    if spec.scale is None or spec.zero_point is None:
        return array
    real: NDArray[Any] = (array.astype(np.float32) - np.float32(spec.zero_point)) * np.float32(spec.scale)
    return real
