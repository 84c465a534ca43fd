"""A .tflite file that LiteRT refuses while it is lowered: the error names the operator, module, line and way out."""

from __future__ import annotations

import numpy as np
import pytest

from edgedeploy.core.recipe import NumberFormat
from edgedeploy.exporters import to_tflite
from edgedeploy.exporters.job import FileRefused
from edgedeploy.exporters.targets import TARGETS
from edgedeploy.pipeline.export.blame.conversion_errors import explain_refusal
from tests.exporters.small_network import SmallExports, recipe_of

STATIC = recipe_of("int8", NumberFormat.STATIC_INT8)


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> SmallExports:
    return SmallExports(tmp_path_factory.mktemp("refused"))


def test_the_operator_that_the_runtime_refuses_the_file_for_is_named(
    exports: SmallExports, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_a_tiny_result(graph: object, ranges: dict[str, dict[str, np.ndarray]], *_: object) -> object:
        name = next(name for name in ranges if "Conv2d_conv" in name)
        return {**ranges, name: {end: np.zeros_like(values) for end, values in ranges[name].items()}}

    monkeypatch.setattr(to_tflite, "adjusted_ranges", with_a_tiny_result)
    with pytest.raises(FileRefused, match=r"LiteRT refuses the file: .*XNNPACK") as caught:
        exports.lower("tflite", STATIC)
    assert caught.value.operator.startswith("CONV_2D of 1x8x8x8, 8x3x3x8")
    assert caught.value.module == "stages.0.conv"

    error = explain_refusal(caught.value, TARGETS["tflite-int8"], "net", exports.module)
    assert error.message == "net does not lower to tflite-int8"
    assert error.details[:2] == (f"operator: {caught.value.operator}", "module: stages.0.conv")
    assert "small_network.py:" in error.details[2]
    assert "return self.act(self.conv(x))" in error.details[2]
    assert "LiteRT refuses the file" in error.details[3]
    assert error.hint is not None
    assert error.hint.startswith("--exclude MODULE keeps it in float32; another target")


def test_where_no_operator_is_known_the_runtimes_words_stay(exports: SmallExports) -> None:
    error = explain_refusal(FileRefused("one\ntwo"), TARGETS["tflite-fp32"], "net", exports.module)
    assert error.details == ("one", "two")
    assert error.hint is not None
    assert "--exclude" not in error.hint
