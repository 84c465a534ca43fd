"""The runner's arguments and its answer, complete and broken, without a runner."""

from __future__ import annotations

import json

import pytest

from edgedeploy.android_harness.protocol import RunnerPaths, RunRequest, TensorInfo, parse_answer
from edgedeploy.core.errors import RunnerFailed
from edgedeploy.core.measurement import OperatorTime
from edgedeploy.core.storage.json_records import encode


def columns(phase: str, ns: list[int], **others: object) -> dict:
    zeros = [0] * len(ns)
    samples = {"start_ns": zeros, "ns": ns, "cpu_before": zeros, "cpu_after": zeros}
    return {"event": "samples", "phase": phase, **samples, "khz_before": None, "khz_after": None, **others}


def complete_answer() -> list[dict]:
    start = {"event": "start", "protocol": 1, "runtime": "litert", "runtime_version": "", "abi": "arm64", "pid": 7}
    tensor = {"name": "x", "dtype": "int8", "shape": [1, -1]}
    return [
        {**start, "threads": 2, "unix_ns": 11, "monotonic_ns": 5, "peak_rss_bytes": None},
        {"event": "loaded", "load_ns": 9, "inputs": [tensor], "outputs": []},
        columns("first", [30]),
        columns("warmup", [20, 21]),
        columns("run", [10, 11, 12], khz_before=[1800000, None, 900000]),
        {"event": "done", "peak_rss_bytes": 4096},
    ]


def lines(events: list[dict]) -> str:
    return "".join(json.dumps(event) + "\n" for event in events)


def test_a_complete_answer_becomes_a_record():
    answer = parse_answer(lines(complete_answer()), exit_code=0)
    assert answer.runs.ns == (10, 11, 12)
    assert answer.runs.khz_before == (1800000, None, 900000)
    assert answer.first_inference_ns == 30
    assert answer.load_ns == 9
    assert answer.inputs == (TensorInfo("x", "int8", (1, -1)),)
    assert (answer.peak_rss_start_bytes, answer.peak_rss_bytes) == (None, 4096)
    assert answer.operators is None
    assert json.loads(encode(answer))["runs"]["ns"] == [10, 11, 12]


def test_a_column_that_the_device_does_not_report_is_none_for_every_run():
    assert parse_answer(lines(complete_answer()), exit_code=0).runs.khz_after == (None, None, None)


def test_unknown_keys_and_events_are_ignored():
    events = [{**event, "new": [1]} for event in complete_answer()] + [{"event": "weather", "rain": True}]
    assert parse_answer(lines(events), exit_code=0).threads == 2


def test_a_profile_is_read():
    profile = {"event": "profile", "operators": [{"name": "conv", "type": "Conv", "calls": 3, "total_ns": 33}]}
    answer = parse_answer(lines([*complete_answer(), profile]), exit_code=0)
    assert answer.operators == (OperatorTime("conv", "Conv", 3, 33),)


def test_an_error_has_its_stage_and_the_end_of_standard_error():
    error = {"event": "error", "stage": "load", "message": "no such model"}
    with pytest.raises(RunnerFailed, match="the stage 'load': no such model") as caught:
        parse_answer(lines([*complete_answer()[:1], error]), exit_code=3, stderr="one\ntwo\n")
    assert caught.value.details == ("one", "two")


def test_a_runner_that_was_killed_is_reported_with_its_last_lines():
    with pytest.raises(RunnerFailed, match="exit code 137 and reported no error") as caught:
        parse_answer(lines(complete_answer()[:2]), exit_code=137)
    assert "loaded" in caught.value.details[-1]


@pytest.mark.parametrize("garbage", ["Segmentation fault", "\x00\x01", "[1, 2]", '{"no": "event"}', "[" * 100_000])
def test_a_line_that_is_not_an_event_is_an_error_and_is_shown(garbage):
    with pytest.raises(RunnerFailed, match="not an event") as caught:
        parse_answer(lines(complete_answer()) + garbage, exit_code=0)
    assert "it printed" in caught.value.details[0]


@pytest.mark.parametrize("missing", range(6))
def test_no_line_of_an_answer_may_be_missing(missing):
    events = complete_answer()
    del events[missing]
    with pytest.raises(RunnerFailed, match="no complete answer"):
        parse_answer(lines(events), exit_code=0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"protocol": 2}, "has protocol 2"),
        ({"threads": "two"}, r"event 'start': Expected `int`, got `str` - at `\$\.threads`"),
        ({"unix_ns": True}, r"Expected `int`, got `bool` - at `\$\.unix_ns`"),
    ],
)
def test_a_start_of_another_kind_is_refused(change, reason):
    events = complete_answer()
    events[0] |= change
    with pytest.raises(RunnerFailed, match=reason):
        parse_answer(lines(events), exit_code=0)


@pytest.mark.parametrize(("index", "key"), [(1, "load_ns"), (2, "ns"), (5, "peak_rss_bytes")])
def test_a_missing_key_is_named(index, key):
    events = complete_answer()
    del events[index][key]
    with pytest.raises(RunnerFailed, match=f"missing required field `{key}`"):
        parse_answer(lines(events), exit_code=0)


def test_an_error_event_is_reported_even_where_its_keys_are_not_as_specified():
    with pytest.raises(RunnerFailed, match="failed at the stage") as caught:
        parse_answer(lines([{"event": "error", "stage": 7, "message": "odd"}]), exit_code=3)
    assert "odd" in str(caught.value)


def test_columns_of_different_lengths_are_refused():
    events = complete_answer()
    events[4]["cpu_before"] = [0]
    with pytest.raises(RunnerFailed, match="column cpu_before has 1 entries, ns has 3"):
        parse_answer(lines(events), exit_code=0)


def test_an_empty_answer_is_an_error():
    with pytest.raises(RunnerFailed, match="it printed nothing"):
        parse_answer("", exit_code=0)


def test_a_request_becomes_arguments():
    request = RunRequest(threads=4, num_runs=0, min_secs=1.5, cpu_mask=0xF0, profile=True)
    arguments = request.arguments("litert", RunnerPaths(inputs="/i", model="/m", outputs="/o", scratch="/s"))
    assert " ".join(arguments) == (
        "--runtime litert --inputs /i --threads 4 --warmup-runs 1 --num-runs 0 --min-secs 1.5 --max-secs 150 "
        "--model /m --outputs /o --scratch /s --cpu-mask f0 --profile"
    )
