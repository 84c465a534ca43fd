"""The matrix with an exporter that is a fake: what is done again and what is not, and the page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from edgedeploy.core.artifact import MANIFEST, Manifest
from edgedeploy.core.errors import EdgedeployError, RunnerFailed, UsageError
from edgedeploy.core.parity import Parity, Threshold
from edgedeploy.core.provenance import Provenance, WeightsInfo
from edgedeploy.core.recipes import FP32, load_recipe
from edgedeploy.core.spec import TensorSpec
from edgedeploy.models.zoo import ZOO
from edgedeploy.studies.delegates import Agreement
from edgedeploy.studies.results import Origin, RecordFile
from edgedeploy.studies.zoo_matrix.cells import (
    BIG,
    OTHER_SIZES,
    TARGETS,
    Cell,
    Outcome,
    Results,
    Workshop,
    cells,
    fingerprint,
    kept_artifact,
    of_cells,
    run,
)
from edgedeploy.studies.zoo_matrix.page import MARKS, into_readme, render
from edgedeploy.studies.zoo_matrix.spread import INT8, MARGINS, Spread, measure

ROOT = Path(__file__).parents[2]
WANTED = [Cell("topformer-tiny", "topformer", "onnx-fp32"), Cell("topformer-tiny", "topformer", "tflite-int8")]


class Exporter:
    """Writes a manifest with a given parity, and remembers what it was asked for."""

    def __init__(self, relative_error: float = 1e-6, error: str = "") -> None:
        self.asked: list[str] = []
        self.options: list[tuple[str, ...]] = []
        self.relative_error, self.error = relative_error, error

    def __call__(self, cell: Cell, folder: Path, options: Sequence[str] = ()) -> str:
        self.asked.append(str(cell))
        self.options.append(tuple(options))
        if self.error:
            return self.error
        path = cell.path(folder)
        path.mkdir(parents=True, exist_ok=True)
        (path / "model.bin").write_bytes(b"x")
        parity = Parity(0.1, 0.1, self.relative_error, 31.25, 1.0, None, 10)
        threshold = Threshold(relative_error=1e-4) if cell.target.endswith("fp32") else Threshold(sqnr_db=20.0)
        tensor = (TensorSpec("x", (1,)),)
        provenance = Provenance("0", "", WeightsInfo("random"), FP32)
        manifest = Manifest(
            cell.model, cell.target, "r", "model.bin", "abc", 1, tensor, tensor, (parity,), threshold, provenance
        )
        (path / MANIFEST).write_text(manifest.to_json())
        return ""


def test_every_variant_up_to_30_million_parameters_goes_everywhere_and_the_big_ones_somewhere() -> None:
    wanted = list(cells(ZOO))
    for spec in ZOO:
        targets = [cell.target for cell in wanted if cell.network == spec.name]
        assert targets == list(TARGETS) if spec.parameters <= BIG else len(targets) >= 1
    sizes = [ZOO[cell.model].parameters for cell in wanted if cell.size is None]
    assert sizes == sorted(sizes)


def test_other_sizes_are_exported_to_every_target_into_folders_of_their_own(tmp_path: Path) -> None:
    others = [cell for cell in cells(ZOO) if cell.size]
    assert len(others) == sum(map(len, OTHER_SIZES.values())) * len(TARGETS)
    for cell in others:
        assert cell.size in OTHER_SIZES[cell.model]
        assert ZOO[cell.model].input_shape(cell.size)[2:] == cell.size != ZOO[cell.model].input_size
    assert len({cell.path(tmp_path) for cell in cells(ZOO)}) == len(list(cells(ZOO)))


def counted(_: Path) -> int:
    return 5_000_000


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "docs" / "zoo.json")


def test_a_second_run_makes_nothing_again_even_where_the_artifacts_are_gone(results: Results, tmp_path: Path) -> None:
    first, second = Exporter(), Exporter()
    run(WANTED, tmp_path / "here", Workshop(first, counted), results)
    assert first.asked == ["topformer-tiny/onnx-fp32", "topformer-tiny/tflite-int8"]
    made = results.read(WANTED)
    run(WANTED, tmp_path / "elsewhere", Workshop(second, counted), results)
    assert second.asked == []
    assert results.read(WANTED) == made


def test_an_interrupted_run_goes_on_with_the_next_cell(results: Results, tmp_path: Path) -> None:
    run(WANTED[:1], tmp_path, Workshop(Exporter(), counted), results)
    rest = Exporter()
    reported: list[tuple[str, bool]] = []
    run(
        WANTED, tmp_path, Workshop(rest, counted), results, lambda cell, _, fresh: reported.append((cell.target, fresh))
    )
    assert rest.asked == ["topformer-tiny/tflite-int8"]
    assert reported == [("onnx-fp32", False), ("tflite-int8", True)]


def test_a_cell_of_other_code_and_one_that_failed_are_made_again(results: Results, tmp_path: Path) -> None:
    results.add(WANTED[0], Outcome("older", 1.0, "", 1e-6, 30.0))
    run(WANTED[1:], tmp_path, Workshop(Exporter(error="exit code -9: killed"), counted), results)
    again = Exporter()
    run(WANTED, tmp_path, Workshop(again, counted), results, origin=Origin("abc", "a CPU"))
    assert again.asked == [str(cell) for cell in WANTED]
    assert [(o.error, o.commit, o.machine) for o in results.read(WANTED).values()] == [("", "abc", "a CPU")] * 2


def test_failures_and_cells_of_older_code_stay_among_the_results(results: Results, tmp_path: Path) -> None:
    results.add(WANTED[0], Outcome("older", 1.0, "", 1e-6, 30.0))
    run(WANTED[1:], tmp_path, Workshop(Exporter(error="exit code 1: below the threshold"), counted), results)
    assert [outcome.error for outcome in results.read(WANTED).values()] == ["", "exit code 1: below the threshold"]


def test_runs_side_by_side_lose_no_cell(results: Results) -> None:
    wanted = list(cells(ZOO))[:40]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda cell: results.add(cell, Outcome(cell.target, 1.0)), wanted))
    assert {cell: outcome.fingerprint for cell, outcome in results.read(wanted).items()} == {
        cell: cell.target for cell in wanted
    }


@pytest.mark.parametrize("content", ["{", "[]", '{"topformer-tiny/onnx-fp32": {"speed": 1}}'])
def test_a_broken_file_of_results_is_named_and_stays_as_it_is(content: str, results: Results, tmp_path: Path) -> None:
    results.path.parent.mkdir()
    results.path.write_text(content)
    with pytest.raises(UsageError, match=r"zoo\.json is not a file of results"):
        run(WANTED, tmp_path, Workshop(Exporter(), counted), results)
    assert results.path.read_text() == content


def test_the_committed_results_are_what_the_page_and_the_readme_show() -> None:
    results, everything = Results(ROOT / "docs" / "zoo.json"), list(cells(ZOO))
    known = results.read(everything)
    assert set(json.loads(results.path.read_text())) == {str(cell) for cell in known}
    spreads = of_cells(RecordFile(ROOT / "docs" / "zoo_spread.json", Spread), everything)
    assert (ROOT / "docs" / "zoo.md").read_text() == render(known, spreads)
    readme = (ROOT / "README.md").read_text()
    assert into_readme(readme, known) == readme


def test_no_committed_cell_failed_and_no_float_one_is_above_its_bound() -> None:
    known = Results(ROOT / "docs" / "zoo.json").read(cells(ZOO))
    bad = [str(cell) for cell, o in known.items() if o.error or (o.missed and cell.target.endswith("fp32"))]
    assert bad == []


def test_explain_is_right_about_every_committed_cell_that_was_compared() -> None:
    known = Results(ROOT / "docs" / "zoo.json").read(cells(ZOO))
    assert {str(cell): o.wrongly_explained for cell, o in known.items() if o.wrongly_explained} == {}


def test_the_fingerprint_follows_the_family_the_format_and_the_versions(tmp_path: Path) -> None:
    for name in (
        "models/topformer.py",
        "models/swin.py",
        "exporters/to_onnx.py",
        "exporters/to_tflite.py",
        "core/x.py",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    cell, tools = WANTED[0], {"torch": "1"}
    first = fingerprint(cell, tmp_path, tools)
    for name, matters in (
        ("models/swin.py", False),
        ("exporters/to_tflite.py", False),
        ("models/topformer.py", True),
        ("exporters/to_onnx.py", True),
        ("core/x.py", True),
    ):
        (tmp_path / name).write_text("2")
        assert (fingerprint(cell, tmp_path, tools) != first) is matters, name
        (tmp_path / name).write_text("1")
    (tmp_path / "core/x.py").write_text('"""Reporter more."""\n\n1  # one\n')
    assert fingerprint(cell, tmp_path, tools) == first, "only words differ"
    assert fingerprint(cell, tmp_path, {"torch": "2"}) != first
    assert fingerprint(cell, tmp_path, tools) == first


def test_the_page_shows_errors_noise_misses_and_failures() -> None:
    outcomes = {
        Cell("a", "a", "onnx-fp32"): Outcome("f", 30, "", 2.4e-6, 110.0, commit="abc", machine="a CPU"),
        Cell("a", "a", "tflite-fp32"): Outcome("f", 30, "", 3e-3, 50.0, missed=True, commit="abc", machine="a CPU"),
        Cell("a", "a", "onnx-int8"): Outcome("f", 60, "", 0.1, 31.27, commit="def", machine="another"),
        Cell("b", "b", "onnx-fp32"): Outcome("f", 60, "exit code -9: no message", commit="def", machine="another"),
    }
    page = render(outcomes)
    assert "| a | 2.4e-06 |  | 3.0e-03* | 31.3 |  |  | abc, def |" in page
    assert "| b | failed [1] |" in page
    assert "[1] exit code -9: no message" in page
    assert "- commit abc: a CPU\n- commit def: another\n" in page
    assert "3 of 4 cells that were run have an artifact." in page


def test_other_sizes_have_a_table_of_their_own_on_the_page() -> None:
    cell = Cell("a", "a", "tflite-fp32", (192, 320))
    page = render({Cell("a", "a", "onnx-fp32"): Outcome("f", 30, "", 2e-6), cell: Outcome("f", 30, "", 3e-6)})
    first, second = page.split("## At other input sizes")
    assert "| a | 2.0e-06 |" in first
    assert "| a at 192x320 |  |  | 3.0e-06 |" in second


def test_the_readme_shows_the_table_between_its_marks_and_nothing_else_changes() -> None:
    outcomes = {Cell("a", "a", "onnx-fp32"): Outcome("f", 30, "", 2.4e-6, 110.0)}
    readme = f"before\n{MARKS[0]}\nolder\n{MARKS[1]}\nafter\n"
    shown = into_readme(readme, outcomes)
    assert shown.startswith(f"before\n{MARKS[0]}\n")
    assert shown.endswith(f"{MARKS[1]}\nafter\n")
    assert "| a | 2.4e-06 |" in shown
    assert "older" not in shown
    assert into_readme(shown, outcomes) == shown
    assert into_readme("no marks", outcomes) == "no marks"
    assert into_readme(readme, {}) == readme


def test_an_artifact_that_does_not_run_on_arm_is_a_result(results: Results, tmp_path: Path) -> None:
    def refuses(_: Path) -> int:
        raise RunnerFailed("zero point must be a scalar")

    run(WANTED[:1], tmp_path, Workshop(Exporter(), refuses), results)
    (outcome,) = results.read(WANTED).values()
    assert (outcome.error, outcome.instructions, outcome.arm_error) == ("", None, "zero point must be a scalar")
    assert "failed [1]" in render(results.read(WANTED))


def test_the_page_tells_where_int8_takes_more_arm_instructions_than_float() -> None:
    def row(name: str, fp32: int, int8: int) -> dict[Cell, Outcome]:
        counts = {"tflite-fp32": fp32, "tflite-int8": int8}
        return {Cell(name, name, t): Outcome("f", 30, "", 1e-6, 30.0, instructions=n) for t, n in counts.items()}

    page = render(row("a", 50_000_000, 20_000_000) | row("b", 50_000_000, 60_000_000))
    assert "Of 2 pairs, 1 have an int8 artifact that takes more instructions" in page
    assert "50.0 | 20.0 | 0.40 |" in page


def test_an_artifact_is_taken_again_only_if_it_is_what_this_code_made(results: Results, tmp_path: Path) -> None:
    cell = WANTED[0]
    assert kept_artifact(cell, tmp_path, results) is None
    run([cell], tmp_path, Workshop(Exporter(), counted), results)
    assert kept_artifact(cell, tmp_path, results) == cell.path(tmp_path)
    assert kept_artifact(cell, tmp_path / "elsewhere", results) is None
    results.add(cell, replace(results.read([cell])[cell], fingerprint="older"))
    assert kept_artifact(cell, tmp_path, results) is None


def test_a_float_cell_above_its_bound_is_marked(results: Results, tmp_path: Path) -> None:
    run(WANTED[:1], tmp_path, Workshop(Exporter(relative_error=1e-3), counted), results)
    assert results.read(WANTED)[WANTED[0]].missed


def test_the_page_names_the_networks_whose_runtimes_differ_in_int8() -> None:
    def row(name: str, *sqnr_db: float) -> dict[Cell, Outcome]:
        return {Cell(name, name, t): Outcome("f", 30, "", 0.1, db) for t, db in zip(INT8, sqnr_db, strict=True)}

    page = render(row("a", 30.0, 31.0, 32.9) | row("b", 19.0, 24.0, 22.0))
    assert "In int8 1 of 2 rows have at least 20 dB on every runtime" in page
    assert "3 dB of each other on 1; not b." in page
    spreads = {
        Cell("b", "b", t): Spread((0.0, 0.01), (db, db + 2)) for t, db in zip(INT8, (20.0, 21.0, 21.5), strict=True)
    }
    assert "on 1; not b (1.5 dB on average over the ranges below)." in render(
        row("a", 30, 31, 32) | row("b", 19, 24, 22), spreads
    )


@pytest.mark.parametrize(
    ("found", "explained", "wrong"),
    [
        (None, None, ()),
        (Agreement("a", 40, (), (2, 2)), 40, ()),
        (Agreement("a", 40, ("conv",), (2, 3)), 40, ("conv", "2 partitions instead of 3")),
    ],
)
def test_explain_is_held_against_the_runtime(
    found: Agreement | None, explained: int | None, wrong: tuple[str, ...], results: Results, tmp_path: Path
) -> None:
    run(WANTED[:1], tmp_path, Workshop(Exporter(), counted, lambda _: found), results)
    (outcome,) = results.read(WANTED).values()
    assert (outcome.explained, outcome.wrongly_explained) == (explained, wrong)
    page = render(results.read(WANTED))
    assert (f"partitions of {1 - bool(wrong)} of 1 artifacts" in page) is (found is not None)
    assert all(words in page for words in wrong)


def test_an_artifact_that_cannot_be_compared_is_told(results: Results, tmp_path: Path) -> None:
    def refuses(_: Path) -> None:
        raise RunnerFailed("the emulator stopped")

    run(WANTED[:1], tmp_path, Workshop(Exporter(), counted, refuses), results)
    assert results.read(WANTED)[WANTED[0]].wrongly_explained == ("the emulator stopped",)


def test_a_spread_is_of_one_export_for_each_margin(tmp_path: Path) -> None:
    export, cell = Exporter(), WANTED[1]
    found = measure(cell, tmp_path, Origin("abc", "a CPU"), export)
    assert [load_recipe(options[1]).range_margin for options in export.options] == list(MARGINS)
    assert found == Spread(MARGINS, (31.25,) * len(MARGINS), "abc", "a CPU")
    page = render({cell: Outcome("f", 30, "", 0.1, 31.25)}, {cell: Spread((0.0, 0.01), (30.0, 34.0))})
    assert "| topformer-tiny |  |  | 32.0 ± 2.8 (30.0 to 34.0) |" in page


def test_a_margin_whose_export_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgedeployError, match="topformer-tiny/tflite-int8 with ranges 0% wider: exit code 1: why"):
        measure(WANTED[1], tmp_path, Origin(), Exporter(error="exit code 1: why"))
