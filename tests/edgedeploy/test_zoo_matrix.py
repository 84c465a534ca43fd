"""The matrix with an exporter that is a fake: what is done again and what is not, and the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgedeploy.core.artifact import MANIFEST, Manifest
from edgedeploy.core.numerics import Parity
from edgedeploy.core.spec import TensorSpec
from edgedeploy.models.zoo import ZOO
from edgedeploy.zoo_matrix.cells import (
    BIG,
    OTHER_SIZES,
    RECORD,
    TARGETS,
    Cell,
    Outcome,
    cells,
    filled,
    fingerprint,
    run,
)
from edgedeploy.zoo_matrix.page import MARKS, into_readme, render

WANTED = [Cell("topformer-tiny", "topformer", "onnx-fp32"), Cell("topformer-tiny", "topformer", "tflite-int8")]


class Exporter:
    """Writes a manifest with the parity that it is told, and remembers what it was asked for."""

    def __init__(self, relative_error: float = 1e-6, error: str = "") -> None:
        self.asked: list[str] = []
        self.relative_error, self.error = relative_error, error

    def __call__(self, cell: Cell, folder: Path) -> str:
        self.asked.append(str(cell))
        if self.error:
            return self.error
        place = cell.place(folder)
        place.mkdir(parents=True, exist_ok=True)
        (place / "model.bin").write_bytes(b"x")
        parity = Parity(0.1, 0.1, self.relative_error, 31.25, 1.0, None, 10)
        floor = {"relative_error": 1e-4} if cell.target.endswith("fp32") else {"sqnr_db": 20.0}
        tensor = (TensorSpec("x", (1,)),)
        manifest = Manifest(cell.model, cell.target, "r", "model.bin", "", 1, tensor, tensor, (parity,), floor)
        (place / MANIFEST).write_text(json.dumps(manifest.to_json()))
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
    assert len({cell.place(tmp_path) for cell in cells(ZOO)}) == len(list(cells(ZOO)))


def test_a_second_run_makes_nothing_again(tmp_path: Path) -> None:
    first, second = Exporter(), Exporter()
    made = run(WANTED, tmp_path, first)
    assert first.asked == ["topformer-tiny/onnx-fp32", "topformer-tiny/tflite-int8"]
    assert run(WANTED, tmp_path, second) == made
    assert second.asked == []


def test_an_interrupted_run_goes_on_with_the_next_cell(tmp_path: Path) -> None:
    run(WANTED[:1], tmp_path, Exporter())
    rest = Exporter()
    heard: list[tuple[str, bool]] = []
    run(WANTED, tmp_path, rest, lambda cell, _, fresh: heard.append((cell.target, fresh)))
    assert rest.asked == ["topformer-tiny/tflite-int8"]
    assert heard == [("onnx-fp32", False), ("tflite-int8", True)]


@pytest.mark.parametrize("gone", [RECORD, MANIFEST, "model.bin"])
def test_a_cell_whose_files_are_gone_is_made_again(gone: str, tmp_path: Path) -> None:
    run(WANTED, tmp_path, Exporter())
    (tmp_path / "topformer-tiny" / "onnx-fp32" / gone).unlink()
    again = Exporter()
    run(WANTED, tmp_path, again)
    assert again.asked == ["topformer-tiny/onnx-fp32"]


def test_a_cell_of_other_code_and_one_that_failed_are_made_again(tmp_path: Path) -> None:
    run(WANTED[:1], tmp_path, Exporter())
    record = tmp_path / "topformer-tiny" / "onnx-fp32" / RECORD
    record.write_text(json.dumps({**json.loads(record.read_text()), "fingerprint": "older"}))
    run(WANTED[1:], tmp_path, Exporter(error="exit code -9: killed"))
    again = Exporter()
    outcomes = run(WANTED, tmp_path, again)
    assert again.asked == [str(cell) for cell in WANTED]
    assert not any(outcome.error for outcome in outcomes.values())


def test_a_failure_of_an_earlier_run_stays_on_the_page(tmp_path: Path) -> None:
    run(WANTED, tmp_path, Exporter(error="exit code 1: below the floor"))
    assert [outcome.error for outcome in filled(WANTED, tmp_path).values()] == ["exit code 1: below the floor"] * 2


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
    assert fingerprint(cell, tmp_path, {"torch": "2"}) != first
    assert fingerprint(cell, tmp_path, tools) == first


def test_the_page_shows_errors_noise_misses_and_failures() -> None:
    outcomes = {
        Cell("a", "a", "onnx-fp32"): Outcome("f", 30, "", 2.4e-6, 110.0),
        Cell("a", "a", "tflite-fp32"): Outcome("f", 30, "", 3e-3, 50.0, missed=True),
        Cell("a", "a", "onnx-int8"): Outcome("f", 60, "", 0.1, 31.27),
        Cell("b", "b", "onnx-fp32"): Outcome("f", 60, "exit code -9: nothing was said"),
    }
    page = render(outcomes, ["a CPU, 2 cores", "commit abc"])
    assert "| a | 2.4e-06 |  | 3.0e-03* | 31.3 |  |  |" in page
    assert "| b | failed [1] |" in page
    assert "[1] exit code -9: nothing was said" in page
    assert "a CPU, 2 cores; commit abc." in page
    assert "3 of 4 cells that were run have an artifact; 3 minutes." in page


def test_other_sizes_have_a_table_of_their_own_on_the_page() -> None:
    cell = Cell("a", "a", "tflite-fp32", (192, 320))
    page = render({Cell("a", "a", "onnx-fp32"): Outcome("f", 30, "", 2e-6), cell: Outcome("f", 30, "", 3e-6)}, ["m"])
    first, second = page.split("## At other input sizes")
    assert "| a | 2.0e-06 |" in first
    assert "| a at 192x320 |  |  | 3.0e-06 |" in second


def test_the_readme_shows_the_table_between_its_marks_and_nothing_else_changes() -> None:
    outcomes = {Cell("a", "a", "onnx-fp32"): Outcome("f", 30, "", 2.4e-6, 110.0)}
    readme = f"before\n{MARKS[0]}\nolder\n{MARKS[1]}\nafter\n"
    shown = into_readme(readme, outcomes, ["a CPU"])
    assert shown.startswith(f"before\n{MARKS[0]}\n")
    assert shown.endswith(f"{MARKS[1]}\nafter\n")
    assert "| a | 2.4e-06 |" in shown
    assert "older" not in shown
    assert into_readme(shown, outcomes, ["a CPU"]) == shown
    assert into_readme("no marks", outcomes, []) == "no marks"
    assert into_readme(readme, {}, []) == readme


def test_a_float_cell_above_its_bound_is_marked(tmp_path: Path) -> None:
    outcomes = run(WANTED[:1], tmp_path, Exporter(relative_error=1e-3))
    assert outcomes[WANTED[0]].missed
