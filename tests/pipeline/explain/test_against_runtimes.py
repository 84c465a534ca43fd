"""What explain predicts is what the runtimes report after they have loaded a file; `make explain-study` checks folders."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgedeploy.cli.app import app
from edgedeploy.core.errors import UsageError
from edgedeploy.core.recipe import QuantRecipe
from edgedeploy.core.recipes import FP32, STATIC_INT8, STATIC_UINT8_ACTIVATIONS
from edgedeploy.exporters.job import Lowered
from edgedeploy.pipeline.explain import explain, explain_file
from edgedeploy.studies.delegates import left_in_float
from tests.exporters.small_network import SmallExports


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> SmallExports:
    return SmallExports(tmp_path_factory.mktemp("explain"))


@pytest.mark.parametrize("recipe", [FP32, STATIC_INT8], ids=str)
def test_litert_takes_the_operators_in_the_partitions_that_were_predicted(
    recipe: QuantRecipe, exports: SmallExports
) -> None:
    lowered, path = exports.lower("tflite", recipe)
    found = explain_file(path, "litert", lowered.operators, "small")
    assert {row.name for row in found.refused} == {fact.name for fact in lowered.operators if not fact.delegated}
    assert len(found.partitions) == lowered.graph.delegates
    assert [part.operators for part in found.partitions] == [
        sum(fact.delegate == number for fact in lowered.operators) for number in range(len(found.partitions))
    ]
    if recipe is STATIC_INT8:
        assert {row.refusal.kind for row in found.refused if row.type == "HARD_SWISH"} == {"dtype"}
        assert all(row.advice for row in found.refused if row.type == "HARD_SWISH")
        assert any(row.breaks for row in found.refused)


def test_onnx_runtime_leaves_those_operators_in_float_that_were_predicted(exports: SmallExports) -> None:
    lowered, path = exports.lower("onnx", STATIC_UINT8_ACTIVATIONS)  # what x86 has all kernels for
    found = explain_file(path, "onnxruntime", lowered.operators, "small")
    assert Counter(row.type for row in found.refused) == left_in_float(path) != Counter()


def test_a_file_of_other_origin_is_explained_by_its_name_alone(exports: SmallExports) -> None:
    _, path = exports.lower("tflite", STATIC_INT8)
    done = CliRunner().invoke(app, ["explain", str(path), "--json"])
    assert done.exit_code == 0
    record = json.loads(done.stdout)
    assert record["operators"] > len(record["refused"]) > 0
    assert "LiteRT 2.3" in record["rules"]
    table = CliRunner().invoke(app, ["explain", str(path)]).stdout
    assert "HARD_SWISH" in table
    assert "partition" in table


def test_a_network_needs_a_target() -> None:
    with pytest.raises(UsageError, match="needs a target"):
        explain("topformer-tiny")


def test_a_float_onnx_model_has_nothing_to_explain(exports: SmallExports) -> None:
    lowered: Lowered
    lowered, path = exports.lower("onnx")
    found = explain_file(path, "onnxruntime", lowered.operators, "small")
    assert found.refused == ()
    assert "no delegate" in found.note


def test_an_executorch_file_alone_cannot_be_explained(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no list of its operators"):
        explain_file(tmp_path / "model.pte", "executorch", (), "x")
