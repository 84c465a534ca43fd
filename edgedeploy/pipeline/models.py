"""models: the networks of the zoo, what others published about them, and what was exported of them here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgedeploy.core.artifact import MANIFEST, Manifest, find_artifacts
from edgedeploy.core.errors import UnknownName
from edgedeploy.core.parity import Parity, worst
from edgedeploy.core.registry import canonical
from edgedeploy.core.results.evaluation import Evaluation
from edgedeploy.core.storage.json_records import RecordInvalid

if TYPE_CHECKING:
    from edgedeploy.core.spec import ModelSpec
    from edgedeploy.models.published import Published as Published

ARTIFACTS = Path("artifacts")


@dataclass(frozen=True)
class ExportedRow:
    """One artifact, as its manifest describes it.

    Attributes:
        exported_at: UTC, ISO 8601.
        weights: the kind of weights, such as "random" or "checkpoint".
        parity: at export, of the worst output; None where the manifest has none.
        evaluations: what it reached on labelled data, the newest last.
    """

    model: str
    target: str
    folder: str
    exported_at: str
    weights: str
    size_bytes: int
    parity: Parity | None
    evaluations: tuple[Evaluation, ...] = ()


@dataclass(frozen=True)
class ModelRow:
    """One network of the zoo. See `edgedeploy.core.spec.ModelSpec` for the fields that both have.

    Attributes:
        input_shape: at the official input size, NCHW.
        accuracy, latency: the one published figure of each that says most about this variant; None where there is none.
        published: all published figures, the authors' own accuracy first.
        exported: the artifacts of this network, also those with its features head.
    """

    name: str
    family: str
    task: str
    input_shape: tuple[int, ...]
    size_multiple: int
    parameters: int
    macs: int | None
    num_classes: int
    paper: str
    repository: str
    reading: str
    licence_weights: str
    weights_url: str
    accuracy: Published | None
    latency: Published | None
    published: tuple[Published, ...]
    exported: tuple[ExportedRow, ...]


def list_models(pattern: str = "", artifacts: Path = ARTIFACTS) -> list[ModelRow]:
    """The variant whose name is `pattern`, or all whose name contains it. Raises UnknownName where there is none."""
    from edgedeploy.models.zoo import ZOO

    wanted = canonical(pattern).replace("*", "")
    chosen = [ZOO[wanted]] if wanted in ZOO else [spec for spec in ZOO if wanted in spec.name]
    if not chosen:
        raise UnknownName("model", pattern, ZOO.names(), hint="`edgedeploy models` lists them all")
    exported = list_exported(artifacts)
    return [_model_row(spec, exported) for spec in chosen]


def _model_row(spec: ModelSpec, exported: list[ExportedRow]) -> ModelRow:
    from edgedeploy.models.published import published_accuracy, published_for, published_latency

    return ModelRow(
        name=spec.name,
        family=spec.family,
        task=spec.task,
        input_shape=spec.input_shape(),
        size_multiple=spec.size_multiple,
        parameters=spec.parameters,
        macs=spec.macs,
        num_classes=spec.num_classes,
        paper=spec.source.paper,
        repository=spec.source.repository,
        reading=spec.source.reading,
        licence_weights=spec.source.licence_weights,
        weights_url=spec.source.weights_url,
        accuracy=published_accuracy(spec),
        latency=published_latency(spec),
        published=published_for(spec.name),
        exported=tuple(row for row in exported if row.model in (spec.name, f"{spec.name}-features")),
    )


def list_exported(artifacts: Path = ARTIFACTS) -> list[ExportedRow]:
    """One row for each artifact below a folder. Reads the manifests alone, and imports no torch.

    A damaged manifest is left out here; `bench` and `verify` report what is wrong with it.
    """
    rows = []
    for folder in find_artifacts(artifacts) if artifacts.is_dir() else ():
        try:
            manifest = Manifest.from_json((folder / MANIFEST).read_bytes())
        except (OSError, RecordInvalid):
            continue
        rows.append(
            ExportedRow(
                model=manifest.model,
                target=manifest.target,
                folder=str(folder),
                exported_at=manifest.provenance.created_at,
                weights=manifest.provenance.weights.kind,
                size_bytes=manifest.size_bytes,
                parity=worst(manifest.parity),
                evaluations=manifest.evaluations,
            )
        )
    return rows
