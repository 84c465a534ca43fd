"""The keyword arguments of `export` and `bench` are the fields of their option records."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from edgedeploy.core.errors import UnknownName, UsageError
from edgedeploy.pipeline.export import ExportKeywords, ExportOptions, parse_input_size, parse_targets
from edgedeploy.pipeline.measuring.options import BenchKeywords, BenchOptions


@pytest.mark.parametrize(("keywords", "record"), [(ExportKeywords, ExportOptions), (BenchKeywords, BenchOptions)])
def test_keywords_and_fields_have_the_same_names_and_types(keywords: type, record: type) -> None:
    assert get_type_hints(keywords) == {field.name: get_type_hints(record)[field.name] for field in fields(record)}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"threads": ()}, "--threads takes whole numbers from 1"),
        ({"threads": (1, 0)}, "--threads takes whole numbers from 1"),
        ({"threads": 4}, "threads is a list of numbers, not 4"),
        ({"threads": (1.5,)}, "--threads takes whole numbers from 1"),
        ({"num_runs": 0}, "--num-runs must be at least 1"),
        ({"warmup_runs": -1}, "must not be negative"),
        ({"min_secs": 2.0, "max_secs": 1.0}, "--min-secs 2 is more than --max-secs 1"),
        ({"cooldown": -1.0}, "--cooldown must not be negative"),
    ],
)
def test_bench_options_refuse_what_cannot_be_measured(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        BenchOptions(**options)


def test_export_options_refuse_unknown_names_and_no_samples() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'labels'"):
        ExportOptions(head="label")
    with pytest.raises(UnknownName, match=r"Did you mean 'tflite-2\.14'"):
        ExportOptions(min_runtime="tflite-2.41")
    with pytest.raises(UnknownName, match="Did you mean 'nhwc'"):
        ExportOptions(layout="nhcw")
    with pytest.raises(UnknownName, match="Did you mean 'arm'"):
        ExportOptions(tune_for="arn")
    with pytest.raises(UsageError, match="--num-calib"):
        ExportOptions(num_calib=0)
    with pytest.raises(UnknownName, match="unknown rewrite"):
        ExportOptions(without_rewrites=("fold_bn",)).check_rewrites()


def test_targets_are_named_once_each_in_a_list_or_with_commas() -> None:
    assert [str(target) for target in parse_targets("tflite_int8, onnx-fp32,tflite-int8")] == [
        "tflite-int8",
        "onnx-fp32",
    ]
    assert parse_targets(["onnx-fp32"]) == parse_targets("onnx-fp32")
    with pytest.raises(UsageError, match="no target was named"):
        parse_targets(" , ")


@pytest.mark.parametrize(("text", "size"), [("512", (512, 512)), ("512x1024", (512, 1024)), ("64×96", (64, 96))])
def test_an_input_size_is_height_by_width(text: str, size: tuple[int, int]) -> None:
    assert parse_input_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "0x64", "64x64x3", "-1", "big"])
def test_what_is_not_an_input_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not an input size"):
        parse_input_size(text)


def test_options_are_frozen(tmp_path: Path) -> None:
    options = ExportOptions(output=tmp_path)
    with pytest.raises(AttributeError):
        options.head = "labels"  # type: ignore[misc]
