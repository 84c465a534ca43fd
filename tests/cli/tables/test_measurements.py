"""The tables of bench, from records."""

from __future__ import annotations

from dataclasses import replace

from edgedeploy.benchmarks.statistics import assess
from edgedeploy.cli.tables.measurements import render_measurements, render_profiles
from edgedeploy.core.device import DeviceState
from edgedeploy.core.measurement import InstructionCount, Profile
from edgedeploy.core.parity import LARGEST, Parity
from tests.cli.rows import PHONE, measurement

PARITY = Parity(0.1, 0.1, 0.01, 34.56, 1.0, None, 10)
LABELS = Parity(1.0, 0.1, 0.1, 20.0, 1.0, 0.9876, 10, labels=True)


def cells(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_times_are_milliseconds_below_a_title_that_names_the_device() -> None:
    title, header, row = render_measurements([measurement(parity=PARITY)]).splitlines()
    assert title == "Google Pixel 7, Tensor GS201 (arm64-v8a, Android 14 (API 34)), 50 runs each; milliseconds"
    assert header.split()[:4] == ["model", "target", "threads", "min"]
    assert row.split() == ["net", "onnx-fp32", "1", "2.00", "2.00", "2.00", "30.0", "4.0", "48", "3.00", "34.6"]


def test_a_row_shows_how_sure_it_is_and_why_it_is_not_trustworthy() -> None:
    times = [2_000_000 + 1000 * (index % 7) for index in range(80)] + [
        2_300_000 + 1000 * (index % 7) for index in range(40)
    ]
    row = assess(measurement(samples_ns=tuple(times), sample_launches=(0,) * 40 + (1,) * 40 + (2,) * 40))
    lines = render_measurements([row]).splitlines()
    assert row.statistics is not None
    assert row.statistics.median_interval_ns is not None
    assert f"{100 * row.statistics.smallest_change:.1f}" in lines[2].split()
    assert lines[3].startswith("¹ not trustworthy: the medians of the launches differ by 14.")
    assert "try: more launches" in lines[3]


def test_the_title_has_the_cores_and_the_temperature_before_and_after() -> None:
    states = [DeviceState(0.0, temperatures_c={"cpu-0": 31.24, "battery": 60.0}), DeviceState(9.0, None, 44.06)]
    text = render_measurements([measurement(cpu_mask=0xC0, state_before=states[0], state_after=states[1])])
    assert ", cores c0, 31.2 -> 44.1 °C, 50 runs each" in text
    assert "°C" not in render_measurements([measurement(state_before=DeviceState(0.0), state_after=states[1])])


def test_rows_that_were_measured_in_turns_say_which_is_the_base() -> None:
    lines = render_measurements([measurement()] * 2, sides=["base", "head"]).splitlines()
    assert [line.split()[2] for line in lines[2:]] == ["(base)", "(head)"]


def test_each_note_is_one_footnote_however_many_rows_have_it() -> None:
    rows = [measurement(notes=("hot",)), measurement(notes=("hot", "a note [with] brackets"))]
    lines = render_measurements(rows).splitlines()
    assert [line.split()[1] for line in lines[2:4]] == ["onnx-fp32¹", "onnx-fp32¹²"]
    assert lines[4:] == ["¹ hot", "² a note [with] brackets"]


def test_the_tenth_note_has_a_number_of_its_own() -> None:
    text = render_measurements([measurement(notes=(f"note {index}",)) for index in range(11)])
    assert "¹⁰ note 9\n¹¹ note 10\n" in text


def test_an_emulators_times_are_not_printed() -> None:
    row = measurement(device=replace(PHONE, emulated=True))
    assert cells(render_measurements([row]))[-1] == ["net", "onnx-fp32", "1", "48", "3.00"]


def test_counted_instructions_have_their_own_columns_and_no_time() -> None:
    count = InstructionCount(
        "cortex-a76", 4_000_000, {"load_store": 10**6, "float_mac": 2 * 10**6}, 1, 1, 0.0, ratio=4.0
    )
    row = measurement(instructions=count, latency_ns=None, samples_ns=())
    title, header, cells = render_measurements([row]).splitlines()
    assert title.endswith("executed instructions of one inference, on one thread")
    assert "× bound" in header
    assert cells.split() == ["net", "onnx-fp32", "4.0", "4.00", "25", "2.0", "0.0", "3.00"]


def test_agreement_with_the_host_is_a_column_only_where_a_row_has_it() -> None:
    equal = replace(PARITY, sqnr_db=None)
    text = render_measurements([measurement(parity=PARITY, host_agreement=equal), measurement()])
    assert "vs host dB" in text.splitlines()[1]
    assert text.splitlines()[2].endswith("equal")
    assert "vs host" not in render_measurements([measurement()])


def test_labels_show_their_agreement_and_broken_outputs_no_huge_number() -> None:
    broken = replace(PARITY, max_abs_error=LARGEST, relative_error=LARGEST, sqnr_db=-LARGEST)
    assert cells(render_measurements([measurement(parity=LABELS)]))[-1][-1] == "98.76%"
    assert render_measurements([measurement(parity=broken)]).splitlines()[-1].endswith("not finite")


def test_without_rows_there_is_no_text() -> None:
    assert render_measurements([]) == render_profiles([]) == render_profiles([measurement()]) == ""


def test_a_profile_that_is_not_available_gives_its_reason() -> None:
    row = measurement(threads=2, profile=Profile(not_available="the runtime has none"))
    assert render_profiles([row]) == "\nnet onnx-fp32, 2 threads: no profile: the runtime has none\n"
