"""Reports: what each format says, and that the page needs nothing and is right in a real browser."""

from __future__ import annotations

import json
import re
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgedeploy.benchmarks.comparison import ComparisonOptions, compare_measurements
from edgedeploy.benchmarks.comparison.budgets import parse_budgets
from edgedeploy.benchmarks.reports import FORMATS
from edgedeploy.benchmarks.statistics.sustained import describe_sustained
from edgedeploy.core.device import DeviceInfo
from edgedeploy.core.measurement import Measurement, OperatorTime, Profile
from edgedeploy.core.parity import Parity
from edgedeploy.core.results.comparison import RowKey
from edgedeploy.core.results.history import HistoryPoint, LevelChange, Series
from edgedeploy.core.results.paired import Canary, PairedComparison, PairedFigure, PairedVerdict
from edgedeploy.core.results.report import Report, sides_of
from tests.benchmarks.statistics.traces import quiet, row
from tests.phones import need

NASTY = "net</script><b>\"'|`$\\bad{$"


def timed(seed: int, factor: float = 1.0, **changes: Any) -> Measurement:
    rng = np.random.default_rng(seed)
    profile = Profile(10, (OperatorTime("a", "CONV_2D", 10, round(1e8 * factor)), OperatorTime("b", "ADD", 10, 10**7)))
    parity = Parity(0.1, 0.1, 0.01, 30.0 + seed, 1.0, None, 10)
    defaults = {"profile": profile, "parity": parity, "started_at": "2026-01-01T00:00:00+00:00"}
    return row(*(quiet(rng) * factor for _ in range(3)), **{**defaults, **changes})


@pytest.fixture(scope="module")
def report() -> Report:
    base = (timed(1, target="a"), timed(2, target="b"), timed(3, target="c", model=NASTY))
    rng = np.random.default_rng(4)
    heating = np.linspace(1.0, 1.2, 50)
    unsure = row(*(quiet(rng) * heating for _ in range(3)), target="c", model=NASTY)
    head = (timed(11, 1.2, target="a"), timed(12, target="b"), unsure)
    options = ComparisonOptions(budgets=parse_budgets({"net/a": ["median <= 1 ms", "p99 <= 1 ms"]}))
    found = compare_measurements(base, head, options, ("base.json", "head.json"))
    points = tuple(
        HistoryPoint(f"rev{n}", f"2026-01-{n + 1:02}", 1e7 * (1.1 if n > 9 else 1), n != 3) for n in range(20)
    )
    series = Series(RowKey("net", "a", 1), "Pixel 7", points, (LevelChange(10, "rev10", 0.1, 1e-9),), 0.1)
    return Report(head, base, found, (series,))


def test_the_page_has_the_course_of_a_row_under_continuous_load() -> None:
    settled = timed(1, target="a")
    course = describe_sustained([10_000_000] * 3000 + [12_000_000] * 6000)
    page = FORMATS["html"](Report((replace(settled, protocol="sustained", sustained=course), settled)))
    assert page.count("net/a under continuous load</h3>") == 1
    assert "Slower by a tenth from 31 s on." in page


def test_markdown_has_the_outcome_in_its_first_line_and_the_table_folded(report: Report) -> None:
    text = FORMATS["markdown"](report)
    assert (
        text.splitlines()[0] == "**edgedeploy: 2 regressions: 3 rows, 1 slower, 1 same, 1 unknown; 1 budget unknown**"
    )
    assert text.index("% slower (+") < text.index("<details>") < text.index("| net/b | ")
    assert "operator a" in text
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {8}
    assert "<b>" not in text.replace("\\<b\\>", "")


def test_junit_has_a_failure_for_each_regression_and_skips_what_says_nothing(report: Report) -> None:
    root = ET.fromstring(FORMATS["junit"](report))
    counts = [(suite.get("name"), suite.get("tests"), suite.get("failures"), suite.get("skipped")) for suite in root]
    assert counts == [("Google Pixel 7", "3", "1", "1"), ("budgets", "2", "1", "1")]
    failure = root.find(".//failure")
    assert failure is not None
    assert "slower +20." in (failure.get("message") or "")
    assert "operator a" in (failure.text or "")
    assert root.findall(".//failure")[-1].get("message", "").startswith("the budget is not kept: ")
    control = Report((timed(1, model="a\x00b"),))
    assert ET.fromstring(FORMATS["junit"](control)).find(".//testcase") is not None


def test_other_dashboards_get_their_own_formats(report: Report) -> None:
    entries = json.loads(FORMATS["github-action-benchmark"](report))
    assert {"name", "unit", "value", "range", "extra"} == set(entries[0])
    assert (entries[0]["name"], entries[0]["unit"]) == ("net/a on Google Pixel 7", "ms")
    latency = json.loads(FORMATS["bencher"](report))["net/a on Google Pixel 7"]["latency"]
    assert latency["lower_value"] <= latency["value"] <= latency["upper_value"]
    lines = FORMATS["otava"](report).splitlines()
    assert lines[0] == 'time,commit,"net/a, 1 thread on Pixel 7"'
    assert (len(lines), lines[1]) == (21, "2026-01-01,rev0,10000000.0")


def test_every_format_names_the_device_where_there_are_several() -> None:
    board = DeviceInfo("ssh", "ssh:board", model="Board", abis=("arm64-v8a",))
    several = Report((timed(1), timed(2, device=board)))
    for name, render in FORMATS.items():
        text = render(several)
        assert "Board" in text, name
        assert "Pixel 7" in text, name
    for name in ("markdown", "html"):
        assert "net/onnx-fp32 on Board" in FORMATS[name](several)
        assert "net/onnx-fp32 on" not in FORMATS[name](Report((timed(1),)))


def in_turns(verdict: PairedVerdict, change: float = 0.1, reason: str = "") -> Report:
    """What `bench A B --interleave` gives: two rows of one name."""
    low, high = change - 0.01, change + 0.01
    figure = PairedFigure("median", (10_000_000,) * 12, (11_000_000,) * 12, change, low, high, 0.0005, 0.02)
    canary, causes = Canary((500_000,) * 13, 0.0, 0.01, ()), ("operator a is new",)
    pair = PairedComparison(
        *("net/a (x)", "net/a (y)", 1, verdict, reason, (figure,), 0.005, 0.05, 0, (True, False) * 6, canary, causes)
    )
    rows = tuple(timed(seed, target="a", protocol="interleaved") for seed in (1, 2))
    return Report(rows, pairs=(pair,), sides=sides_of(rows, (pair,)))


def test_every_report_has_what_was_found_in_turns_and_both_rows_by_their_side() -> None:
    slower, doubted = in_turns("slower"), in_turns("not trustworthy", reason="the machine itself changed")
    for name in ("markdown", "html"):
        text = FORMATS[name](slower)
        assert "1 comparison in turns: 1 slower" in text
        for expected in ("net/a (base)", "net/a (head)", "+10.0% (+9.0% to +11.0%)", "operator a is new"):
            assert expected in re.sub(r"\\", "", text), (name, expected)
        assert "the machine itself changed" in FORMATS[name](doubted)
    cases = [ET.fromstring(FORMATS["junit"](report)).findall(".//testcase") for report in (slower, doubted)]
    assert [case.get("name") for case in cases[0]] == ["net/a (base)", "net/a (head)"]
    assert [[part.tag for part in case] for case in cases[0]] == [["system-out"], ["failure", "system-out"]]
    assert [[part.tag for part in case] for case in cases[1]] == [["system-out"], ["skipped", "system-out"]]
    assert list(json.loads(FORMATS["bencher"](slower))) == ["net/a (base) on Google Pixel 7", "net/a on Google Pixel 7"]


def test_what_was_forced_is_marked_and_the_parts_of_a_long_run_are_in_every_report() -> None:
    course = [10_000_000] * 9000 + [12_000_000] * 9000
    base = replace(timed(1), protocol="sustained", sustained=describe_sustained(course), samples_ns=tuple(course))
    base = replace(base, sample_launches=(0,) * len(course))
    head = replace(base, cpu_mask=0xF0, samples_ns=tuple(round(1.2 * ns) for ns in course))
    options = ComparisonOptions(force=True)
    forced = Report((head,), (base,), compare_measurements([base], [head], options, ("base", "head")))
    assert "UNLIKE CONDITIONS in 1 row (--force)" in forced.headline
    assert 'class="mark"' in FORMATS["html"](forced)
    for name in ("markdown", "html", "junit"):
        text = unescape(FORMATS[name](forced).replace("\\", ""))
        assert "compared all the same: cores: all -> f0" in text, name
        assert "at minute 1: p50 10.00 -> 12.00 ms, +20.0%" in text, name
        assert "at the end: p50 12.00 -> 14.40 ms" in text, name


def test_what_is_unknown_or_not_trusted_is_no_success() -> None:
    unsure = row(np.full(10, 1e7))
    same = compare_measurements([timed(1)], [timed(1)], ComparisonOptions(), ("base", "head"))
    unknown = compare_measurements([timed(1)], [timed(1), unsure][1:], ComparisonOptions(), ("base", "head"))
    lacking = compare_measurements([timed(1), timed(2, target="b")], [timed(1)], ComparisonOptions(), ("base", "head"))
    worse = compare_measurements([timed(1)], [timed(1, 1.2)], ComparisonOptions(), ("base", "head"))
    found = [Report((timed(1),), comparison=comparison) for comparison in (same, unknown, lacking, worse)]
    found += [Report((timed(1),)), Report((timed(1), unsure))]
    found += [in_turns(verdict) for verdict in ("not trustworthy", "slower", "same")]
    wanted = ["passed", "unsure", "unsure", "failed", "passed", "unsure", "unsure", "failed", "passed"]
    assert [report.status for report in found] == wanted
    for report, status in zip(found, wanted, strict=True):
        assert f'<body class="{status}">' in FORMATS["html"](report)


@pytest.mark.parametrize("name", ["net/onnx-fp32", "other/a"])
def test_a_budget_that_cannot_be_judged_is_named_and_is_not_green(name: str) -> None:
    options = ComparisonOptions(budgets=parse_budgets({name: "p99 <= 1 ms"}))
    report = Report((timed(1),), (timed(1),), compare_measurements([timed(1)], [timed(1)], options, ("base", "head")))
    assert report.status == "unsure"
    assert report.headline == "no regression found: 1 row, 1 same; 1 budget unknown"
    for kind in ("html", "markdown"):
        assert f"budget {name}: p99 &lt;= 1 ms: unknown, " in FORMATS[kind](report).replace("\\", "").replace(
            "<=", "&lt;="
        )
    assert '<testsuite name="budgets" tests="1" failures="0" skipped="1"' in FORMATS["junit"](report)


def test_accuracy_stands_against_the_p90_of_mlperf() -> None:
    rows = (timed(1, target="a", protocol="mlperf"), timed(2, target="b", protocol="mlperf"))
    assert "median, of mlperf p90, ms" in FORMATS["html"](Report(rows))


def test_the_figure_of_mlperf_is_its_p90() -> None:
    measured = timed(1, protocol="mlperf")
    assert measured.latency_ns is not None
    assert measured.statistics is not None
    assert measured.statistics.p90_interval_ns is not None
    latency = json.loads(FORMATS["bencher"](Report((measured,))))["net/onnx-fp32 on Google Pixel 7"]["latency"]
    assert latency["value"] == measured.latency_ns.p90
    assert latency["lower_value"] == measured.statistics.p90_interval_ns.low
    assert f"{measured.latency_ns.p90 / 1e6:.2f} ms (p90)" in FORMATS["html"](Report((measured,)))


def test_every_format_works_without_a_comparison_and_without_history() -> None:
    for render in FORMATS.values():
        assert "net/onnx-fp32" in render(Report((timed(1),)))


def test_the_page_is_small_needs_nothing_and_shows_text_as_text(report: Report) -> None:
    page = FORMATS["html"](report)
    assert len(page.encode()) < 1_500_000
    assert not re.findall(r"<(?:script|link|img|iframe)\b|@import|(?:src|href)=\"(?!#)", page)
    assert "net&lt;/script&gt;&lt;b&gt;" in page
    identifiers = re.findall(r'\bid="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers))
    assert set(re.findall(r"(?:href=\"#|url\(#)([^\")]+)", page)) <= set(identifiers)
    assert not re.findall(r"#0[1-5]0[1-5]0[1-5]", page), "a colour that stands for a variable"
    assert page == FORMATS["html"](report), "the same report gives the same page"


def test_a_page_of_very_many_rows_stays_small_and_says_what_it_left_out() -> None:
    profile = Profile(10, tuple(OperatorTime(f"op{n}", f"TYPE_{n}", 10, 10**8 + n) for n in range(20)))
    course = describe_sustained([10_000_000] * 9000)
    rows = tuple(
        timed(1, model=f"network-{number:04}", profile=profile, sustained=course, samples_ns=(10**7 + number,) * 30)
        for number in range(100)
    )
    points = tuple(HistoryPoint(f"rev{n}", f"2026-{n:05}", 1e7 + n, n % 2 == 0) for n in range(2000))
    series = tuple(Series(RowKey(f"network-{n:04}", "a", 1), "Pixel 7", points) for n in range(40))
    page = FORMATS["html"](Report(rows * 100, series=series))
    assert len(page.encode()) < 1_500_000
    assert "operators: 9988 of 10000 rows" in page
    assert "more rows are left out" in page
    one = FORMATS["html"](Report(rows))
    assert "operators: 88 of 100 rows" in one
    assert "Operators of network-0099/onnx-fp32" in one, "the slowest rows are shown"


@pytest.mark.parametrize("width", [390, 1200])
def test_a_browser_shows_all_plots_and_nothing_is_wider_than_the_screen(
    report: Report, width: int, tmp_path: Path
) -> None:
    """Debian's Chromium, in a frame as wide as a phone; a script of the test's own measures the page."""
    need(["chromium"])
    page = FORMATS["html"](report)
    probe = (
        "<script>onload=()=>{const w=document.documentElement,s=[...document.querySelectorAll('figure svg')];"
        "document.title=JSON.stringify({client:w.clientWidth,scroll:w.scrollWidth,svgs:s.length,"
        "drawn:s.filter(e=>e.getBoundingClientRect().height>80).length,"
        "color:getComputedStyle(document.querySelector('figure svg text')).fill})}</script>"
    )
    (tmp_path / "page.html").write_text(page.replace("</body>", f"{probe}</body>"))
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},2000", "--dump-dom",
        (tmp_path / "page.html").as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    title = re.search(r"<title>(\{.*?\})</title>", done.stdout)
    assert title is not None, done.stderr[-2000:]
    measured = json.loads(title.group(1))
    assert measured["svgs"] == measured["drawn"] == 5
    assert measured["scroll"] <= measured["client"]
    assert measured["color"] == "rgb(27, 31, 36)"
