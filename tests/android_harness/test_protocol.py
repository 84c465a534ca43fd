"""The answer of the runner, whole and broken, without a runner."""

from __future__ import annotations

import json

import pytest

from edgedeploy.android_harness.protocol import OperatorTime, RunRequest, TensorInfo, parse_answer
from edgedeploy.core.errors import RunnerFailed


def columns(phase: str, ns: list[int], **others: object) -> dict:
    zeros = [0] * len(ns)
    samples = {"start_ns": zeros, "ns": ns, "cpu_before": zeros, "cpu_after": zeros}
    return {"event": "samples", "phase": phase, **samples, "khz_before": None, "khz_after": None, **others}


def whole_answer() -> list[dict]:
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


def test_a_whole_answer_becomes_plain_data():
    answer = parse_answer(lines(whole_answer()), exit_code=0)
    assert answer.runs.ns == (10, 11, 12)
    assert answer.runs.khz_before == (1800000, None, 900000)
    assert answer.first_inference_ns == 30
    assert answer.load_ns == 9
    assert answer.inputs == (TensorInfo("x", "int8", (1, -1)),)
    assert (answer.peak_rss_start_bytes, answer.peak_rss_bytes) == (None, 4096)
    assert answer.operators is None
    json.dumps(answer.to_json(), allow_nan=False)


def test_a_column_that_the_device_does_not_tell_is_none_for_every_run():
    assert parse_answer(lines(whole_answer()), exit_code=0).runs.khz_after == (None, None, None)


def test_keys_and_events_of_a_later_edition_are_ignored():
    events = [{**event, "new": [1]} for event in whole_answer()] + [{"event": "weather", "rain": True}]
    assert parse_answer(lines(events), exit_code=0).threads == 2


def test_a_profile_is_read():
    profile = {"event": "profile", "operators": [{"name": "conv", "type": "Conv", "calls": 3, "total_ns": 33}]}
    answer = parse_answer(lines([*whole_answer(), profile]), exit_code=0)
    assert answer.operators == (OperatorTime("conv", "Conv", 3, 33),)


def test_an_error_tells_its_stage_and_the_end_of_standard_error():
    error = {"event": "error", "stage": "load", "message": "no such model"}
    with pytest.raises(RunnerFailed, match="the stage 'load': no such model") as caught:
        parse_answer(lines([*whole_answer()[:1], error]), exit_code=3, stderr="one\ntwo\n")
    assert caught.value.details == ("one", "two")


def test_a_runner_that_was_killed_is_told_with_its_last_words():
    with pytest.raises(RunnerFailed, match="exit code 137 and no word") as caught:
        parse_answer(lines(whole_answer()[:2]), exit_code=137)
    assert "loaded" in caught.value.details[-1]


@pytest.mark.parametrize("garbage", ["Segmentation fault", "\x00\x01", "[1, 2]", '{"no": "event"}', "[" * 100_000])
def test_garbage_is_shown_and_never_read(garbage):
    with pytest.raises(RunnerFailed, match="no answer") as caught:
        parse_answer(lines(whole_answer()) + garbage, exit_code=0)
    assert "it printed" in caught.value.details[0]


@pytest.mark.parametrize("missing", range(6))
def test_no_line_of_an_answer_may_be_missing(missing):
    events = whole_answer()
    del events[missing]
    with pytest.raises(RunnerFailed, match="no whole answer"):
        parse_answer(lines(events), exit_code=0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"protocol": 2}, "speaks protocol 2"),
        ({"threads": "two"}, "'two' where int is expected"),
        ({"unix_ns": True}, "True where int is expected"),
    ],
)
def test_a_start_of_another_kind_is_refused(change, reason):
    events = whole_answer()
    events[0] |= change
    with pytest.raises(RunnerFailed, match=reason):
        parse_answer(lines(events), exit_code=0)


def test_columns_of_different_lengths_are_refused():
    events = whole_answer()
    events[4]["cpu_before"] = [0]
    with pytest.raises(RunnerFailed, match="column cpu_before has 1 entries, ns has 3"):
        parse_answer(lines(events), exit_code=0)


def test_nothing_at_all_is_no_answer():
    with pytest.raises(RunnerFailed, match="it printed nothing"):
        parse_answer("", exit_code=0)


def test_a_request_becomes_arguments():
    request = RunRequest(threads=4, num_runs=0, min_secs=1.5, cpu_mask=0xF0, profile=True)
    arguments = request.arguments("litert", model="/m", inputs="/i", outputs="/o", scratch="/s")
    assert " ".join(arguments) == (
        "--runtime litert --inputs /i --threads 4 --warmup-runs 1 --num-runs 0 --min-secs 1.5 --max-secs 150 "
        "--model /m --outputs /o --scratch /s --cpu-mask f0 --profile"
    )
