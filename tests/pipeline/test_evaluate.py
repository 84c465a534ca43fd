"""evaluate: the figures of a plain torch loop, the layouts, damage, stops, and what is written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import edgedeploy
from edgedeploy.core.artifact import Artifact
from edgedeploy.core.errors import ModelInvalid, UsageError
from edgedeploy.core.provenance import WeightsInfo
from edgedeploy.core.results.evaluation import Evaluation
from edgedeploy.core.spec import Preprocessing, TensorSpec
from edgedeploy.core.storage.files import sha256_of
from edgedeploy.data.preprocessing import preprocess
from edgedeploy.models.loading import LoadOptions, Network, load_network
from edgedeploy.pipeline.evaluate.networks import EvaluatedArtifact, FloatOptions, float_network_of
from edgedeploy.pipeline.models import list_exported
from tests.labelled_data import CLASSES, INPUT, NETWORK, SIDE, artifact_of, exported_with_data
from tests.reporters import NoteReporter


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier and a segmentation network in int8, with their code and two data sets."""
    return exported_with_data(tmp_path_factory)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is kept in a folder of the test; the built runners stay where they are."""
    monkeypatch.setattr(
        "edgedeploy.pipeline.evaluate.progress_file.cache_folder", lambda kind: tmp_path / "cache" / kind
    )


@pytest.fixture
def work(exported: Path, tmp_path: Path) -> Path:
    """A copy that a test may write to."""
    return Path(shutil.copytree(exported, tmp_path / "work"))


def evaluate(work: Path, factory: str, data: str, **options: object) -> Evaluation:
    named = {"model": f"{work}/net.py:{factory}", **options}
    return edgedeploy.evaluate(artifact_of(work, factory), work / data, **named)  # type: ignore[arg-type]


def float_network(work: Path, factory: str) -> Network:
    return load_network(f"{work}/net.py:{factory}", LoadOptions(inputs=(INPUT,)))


def outputs_of(network: Network, files: list[Path]) -> list[torch.Tensor]:
    with torch.no_grad():
        inputs = [preprocess(Image.open(file), (SIDE, SIDE), network.preprocessing) for file in files]
        return [network.module(torch.from_numpy(array)) for array in inputs]


def test_top1_and_top5_are_those_of_a_plain_torch_loop(work: Path) -> None:
    found = evaluate(work, "classify", "classes")
    files = sorted((work / "classes").rglob("*.png"))
    labels = [int(file.parent.name) for file in files]
    top5 = [output[0].topk(5).indices.tolist() for output in outputs_of(float_network(work, "classify"), files)]
    scores = {score.metric: score for score in found.scores}
    for metric, k in (("top1", 1), ("top5", 5)):
        expected = np.mean([label in ranked[:k] for label, ranked in zip(labels, top5, strict=True)])
        score = scores[metric]
        assert score.float_value is not None
        assert score.difference is not None
        assert score.float_value.value == expected
        assert score.value.low <= score.value.value <= score.value.high
        assert score.difference.value == pytest.approx(score.value.value - score.float_value.value)
    assert 0 < scores["top1"].value.value < 1
    assert scores["agreement"].value.value > 0.8
    assert (found.images, found.layout, found.device) == (66, "class folders", "local")


def test_miou_and_pixel_accuracy_are_those_of_a_plain_torch_loop(work: Path) -> None:
    found = evaluate(work, "segment", "pixels")
    files = sorted((work / "pixels" / "images").iterdir())
    matrix = torch.zeros(CLASSES, CLASSES)
    for file, output in zip(files, outputs_of(float_network(work, "segment"), files), strict=True):
        mask = torch.from_numpy(np.asarray(Image.open(work / "pixels" / "masks" / file.name)).astype(np.int64))
        full = F.interpolate(output, size=mask.shape, mode="bilinear", align_corners=False).argmax(1)[0]
        known = mask != 255
        matrix += torch.bincount(mask[known] * CLASSES + full[known], minlength=CLASSES**2).reshape(CLASSES, CLASSES)
    hit = matrix.diag()
    iou = hit / (matrix.sum(0) + matrix.sum(1) - hit)
    scores = {score.metric: score for score in found.scores}
    for metric, expected in (("miou", iou.mean()), ("pixel_accuracy", hit.sum() / matrix.sum())):
        score = scores[metric]
        assert score.float_value is not None
        assert score.float_value.value == pytest.approx(float(expected), abs=1e-6)
        assert score.value.low <= score.value.value <= score.value.high
        assert score.difference is not None
        assert score.difference.low <= score.difference.value <= score.difference.high


def test_the_float_network_alone_has_the_same_figures(work: Path) -> None:
    beside = evaluate(work, "classify", "classes")
    alone = edgedeploy.evaluate(f"{work}/net.py:classify", work / "classes", inputs=[INPUT])
    assert [score.value for score in alone.scores] == [s.float_value for s in beside.scores if s.float_value]


def test_the_users_code_runs_only_where_it_is_named(work: Path) -> None:
    (work / "net.py").write_text("raise SystemExit('the code ran')")
    reporter = NoteReporter()
    found = edgedeploy.evaluate(artifact_of(work, "classify"), work / "classes", limit=11, reporter=reporter)
    assert all(score.float_value is None for score in found.scores)
    assert any("name it with --model" in note for note in reporter.notes)


def test_other_weights_than_the_artifacts_are_refused(work: Path) -> None:
    code = NETWORK.replace("manual_seed(0)", "manual_seed(1)")
    (work / "net.py").write_text(code)
    with pytest.raises(UsageError, match="does not have the weights that the artifact was made of"):
        evaluate(work, "classify", "classes")


def test_the_result_is_in_the_manifest_and_in_the_listing_and_a_newer_one_replaces_it(work: Path) -> None:
    evaluate(work, "classify", "classes")
    newer = evaluate(work, "classify", "classes")
    limited = evaluate(work, "classify", "classes", limit=22)
    assert Artifact.load(artifact_of(work, "classify")).manifest.evaluations == (newer, limited)
    (row,) = [row for row in list_exported(work) if row.model == "net-classify"]
    assert row.evaluations == (newer, limited)


def test_a_limit_takes_as_many_of_each_class(work: Path) -> None:
    found = evaluate(work, "classify", "classes", limit=2 * CLASSES, metric=f"{metric_file(work, LABEL)}:label")
    assert found.images == 2 * CLASSES
    assert found.scores[0].value.value == pytest.approx(np.mean(range(CLASSES)))


def test_a_damaged_image_is_named_counted_and_in_no_figure(work: Path) -> None:
    for name in ("a", "b"):
        (work / "classes" / "03" / f"{name}.png").write_bytes(b"no picture")
    reporter = NoteReporter()
    found = evaluate(work, "classify", "classes", reporter=reporter)
    assert sorted(image.file for image in found.skipped) == ["03/a.png", "03/b.png"]
    assert found.images == 66
    assert sum("is skipped" in note for note in reporter.notes) == 2


def test_a_stopped_evaluation_goes_on_where_it_was(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = evaluate(work, "classify", "classes")
    ran: list[int] = []
    run = EvaluatedArtifact.run
    monkeypatch.setattr("edgedeploy.pipeline.evaluate.networks.CHUNK_IMAGES", 10)

    def stopped(self: EvaluatedArtifact, images: list[np.ndarray]) -> list[list[np.ndarray]]:
        ran.append(len(images))
        if len(ran) == 4:
            raise KeyboardInterrupt
        return run(self, images)

    monkeypatch.setattr(EvaluatedArtifact, "run", stopped)
    with pytest.raises(KeyboardInterrupt):
        evaluate(work, "classify", "classes")
    resumed = evaluate(work, "classify", "classes")
    assert sum(ran) == 10 + 66  # the ten of the chunk that was stopped run again
    assert resumed.scores == whole.scores


LABEL = "def label(outputs, target):\n    return target"


def metric_file(work: Path, code: str) -> Path:
    path = work / "metric.py"
    path.write_text(code)
    return path


def test_a_metric_of_the_users_own_sees_outputs_and_label(work: Path) -> None:
    code = "import numpy as np\ndef hit(outputs, target):\n    return float(np.argmax(outputs[0]) == target)"
    own = evaluate(work, "classify", "classes", metric=f"{metric_file(work, code)}:hit")
    built_in = evaluate(work, "classify", "classes")
    assert own.scores[0].metric == "hit"
    assert own.scores[0].value.value == pytest.approx(built_in.scores[0].value.value)


def test_a_metric_that_fails_names_its_line(work: Path) -> None:
    path = metric_file(work, "def bad(outputs, target):\n    return outputs['x']")
    with pytest.raises(ModelInvalid, match=r"(?s)the metric failed.*metric.py:2 in bad"):
        evaluate(work, "classify", "classes", metric=f"{path}:bad")


def test_images_without_labels_give_the_agreement_with_the_float_network(work: Path) -> None:
    shutil.copytree(work / "pixels" / "images", work / "photos")
    found = evaluate(work, "classify", "photos")
    assert [score.metric for score in found.scores] == ["agreement"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: (data / "00").rename(data / "99"), "a class number 99"),
        (shutil.rmtree, "is not a folder"),
        (lambda data: [path.unlink() for path in data.rglob("*.png")], "holds no images"),
        (lambda data: [path.write_bytes(b"") for path in data.rglob("*.png")], "none of the 66 images"),
    ],
)
def test_data_that_does_not_fit_is_refused(work: Path, spoil: Callable[[Path], object], message: str) -> None:
    spoil(work / "classes")
    with pytest.raises(UsageError, match=message):
        evaluate(work, "classify", "classes")


def test_masks_for_a_classifier_are_refused(work: Path) -> None:
    with pytest.raises(UsageError, match="a class for each pixel, and the network returns 1x11"):
        evaluate(work, "classify", "pixels")


def zoo_artifact(small: Artifact, weights: Path) -> Artifact:
    """The small artifact with the manifest of a network of the zoo and its checkpoint."""
    image = TensorSpec("image", (1, 3, 64, 64), layout="NCHW")
    info = WeightsInfo("checkpoint", sha256=sha256_of(weights), num_classes=5, file=str(weights))
    provenance = replace(small.manifest.provenance, weights=info)
    manifest = replace(
        small.manifest,
        model="topformer-tiny-cls",
        inputs=(image,),
        provenance=provenance,
        preprocessing=Preprocessing(),
    )
    return Artifact(small.folder, manifest)


def test_a_zoo_networks_weights_are_those_of_the_manifest(small: Artifact, tmp_path: Path) -> None:
    weights, reporter = tmp_path / "trained.pth", NoteReporter()
    module = edgedeploy.create_model("topformer-tiny-cls", num_classes=5)
    torch.save(module.state_dict(), weights)
    artifact = zoo_artifact(small, weights)
    network = float_network_of(artifact, FloatOptions(), reporter)
    assert network is not None
    assert network.image_size == (64, 64)
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), network.module.parameters(), strict=True))
    weights.unlink()
    assert float_network_of(artifact, FloatOptions(), reporter) is None
    assert "--weights FILE names its weights" in reporter.notes[-1]


def test_without_torch_the_artifact_is_evaluated_alone(
    small: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, reporter = tmp_path / "trained.pth", NoteReporter()
    weights.touch()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert float_network_of(zoo_artifact(small, weights), FloatOptions(), reporter) is None
    assert "torch is not installed" in reporter.notes[0]
