"""The comparison with a workshop that is a fake: what is done again, the ratios, and the page; one real naive export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from edgedeploy.core.artifact import Artifact, write_manifest
from edgedeploy.core.errors import RunnerFailed
from edgedeploy.core.parity import Parity
from edgedeploy.core.storage.files import sha256_of
from edgedeploy.models.zoo import ZOO
from edgedeploy.studies.results import Origin, RecordFile
from edgedeploy.studies.versus import cells as versus
from edgedeploy.studies.versus.__main__ import main
from edgedeploy.studies.versus.cells import (
    FORMS,
    NETWORKS,
    PROMISED,
    Cell,
    Outcome,
    compared_cells,
    fingerprint,
    form_cells,
    in_order,
    left_out_cells,
)
from edgedeploy.studies.versus.fill import Filler
from edgedeploy.studies.versus.measure import make, measure, take_turns
from edgedeploy.studies.versus.naive import FORM_WORDS
from edgedeploy.studies.versus.naive_artifact import one_line, without_folders
from edgedeploy.studies.versus.page import render
from edgedeploy.studies.versus.summary import LIMITS, MINIMA, Table, geometric_mean, instructions, latency
from tests.small_artifacts import convolution

ROOT = Path(__file__).parents[2]
FAMILIES = {model: ZOO[model].family for model in NETWORKS}
NAIVE = Cell("topformer-tiny", "topformer", "tflite-int8", "naive")
OWN = Cell("topformer-tiny", "topformer", "tflite-int8", "own")


class FakeWorkshop:
    """Makes empty folders, counts what it was asked for, and gives every artifact the same figures."""

    def __init__(self, error: str = "") -> None:
        self.made: list[str] = []
        self.timed: list[list[str]] = []
        self.error = error

    def make(self, cell: Cell, folder: Path) -> str:
        self.made.append(str(cell))
        if not self.error:
            cell.path(folder).mkdir(parents=True, exist_ok=True)
        return self.error

    def measure(self, path: Path, outcome: Outcome) -> Outcome:
        return replace(outcome, instructions=100, bound=25.0, rewrites={"fold_batch_norm": 3})

    def take_turns(self, paths: Mapping[Cell, Path]) -> dict[Cell, int]:
        self.timed.append([str(cell) for cell in paths])
        return dict.fromkeys(paths, 7)


@pytest.fixture
def records(tmp_path: Path) -> RecordFile[Outcome]:
    return RecordFile(tmp_path / "versus.json", Outcome)


def filler(records: RecordFile[Outcome], workshop: FakeWorkshop, *, again: bool = False) -> Filler:
    return Filler(records, records.path.parent / "made", Origin("abc", "a CPU"), again=again, workshop=workshop)


def test_every_network_has_both_sides_of_every_target_and_the_promised_ones_come_first() -> None:
    found = list(compared_cells(FAMILIES))
    assert len(set(map(str, found))) == len(found) == len(NETWORKS) * 12
    assert tuple(dict.fromkeys(cell.model for cell in found))[: len(PROMISED)] == PROMISED
    assert set(LIMITS) <= set(NETWORKS)
    folders = {cell.path(Path()) for cell in (*found, *form_cells(FAMILIES))}
    assert len(folders) == len(found) + sum(map(len, FORMS.values()))


def test_forms_are_made_of_known_words() -> None:
    assert {word for cell in form_cells(FAMILIES) for word in cell.form.split("+")} == set(FORM_WORDS)


def test_a_second_run_makes_nothing_again(records: RecordFile[Outcome]) -> None:
    first, second = FakeWorkshop(), FakeWorkshop()
    made = filler(records, first).fill([NAIVE, OWN])
    assert first.made == [str(NAIVE), str(OWN)]
    assert {outcome.commit for outcome in made.values()} == {"abc"}
    assert filler(records, second).fill([NAIVE, OWN]) == made
    assert second.made == []


def test_a_cell_of_other_code_is_made_again(records: RecordFile[Outcome]) -> None:
    records.add(str(NAIVE), Outcome("older", 1.0))
    workshop = FakeWorkshop()
    filler(records, workshop).fill([NAIVE])
    assert workshop.made == [str(NAIVE)]


def test_a_naive_path_that_fails_is_a_result_and_an_own_one_is_tried_again(records: RecordFile[Outcome]) -> None:
    broken = FakeWorkshop("no such operator")
    filler(records, broken).fill([NAIVE, OWN])
    resumed, retried = FakeWorkshop(), FakeWorkshop()
    assert filler(records, resumed).fill([NAIVE, OWN])[NAIVE].error == "no such operator"
    assert resumed.made == [str(OWN)]
    filler(records, retried, again=True).fill([NAIVE])
    assert retried.made == [str(NAIVE)]


def test_wall_times_are_taken_together_and_again_only_where_an_artifact_changed(records: RecordFile[Outcome]) -> None:
    workshop = FakeWorkshop()
    worker = filler(records, workshop)
    outcomes = worker.fill([NAIVE, OWN])
    timed = worker.time(outcomes)
    assert workshop.timed == [[str(NAIVE), str(OWN)]]
    assert [outcome.latency_ns for outcome in timed.values()] == [7, 7]
    assert in_order(records.read(), [NAIVE, OWN]) == timed == worker.time(timed)
    assert len(workshop.timed) == 1
    worker.time({**timed, OWN: replace(timed[OWN], fingerprint="newer")})
    assert len(workshop.timed) == 2


def test_artifacts_that_are_missing_are_made_again_to_be_timed_and_failing_ones_are_left_out(
    records: RecordFile[Outcome],
) -> None:
    workshop = FakeWorkshop()
    known = {NAIVE: Outcome("f", 1.0, "it crashed"), OWN: Outcome("f", 1.0, instructions=5)}
    timed = filler(records, workshop).time(known)
    assert workshop.made == [str(OWN)]
    assert workshop.timed == [[str(OWN)]]
    assert [outcome.latency_ns for outcome in timed.values()] == [None, 7]


def test_rewrites_that_were_applied_are_left_out_one_by_one() -> None:
    own = Outcome("f", 1.0, rewrites={"fold_batch_norm": 3, "linear_to_conv": 1})
    found = list(left_out_cells({NAIVE: own, OWN: own}))
    assert [cell.without for cell in found] == ["fold_batch_norm", "linear_to_conv"]
    assert {cell.side for cell in found} == {"own"}
    assert list(left_out_cells(dict.fromkeys(found, own))) == []


def test_a_left_out_rewrite_is_compared_with_an_own_artifact_of_the_same_code(records: RecordFile[Outcome]) -> None:
    workshop, left_out = FakeWorkshop(), replace(OWN, without="fold_batch_norm")
    records.add(str(OWN), Outcome("older", 1.0, instructions=7))
    made = filler(records, workshop).fill([left_out])
    assert workshop.made == [str(OWN), str(left_out)]
    assert made[left_out].with_rewrite == 100
    filler(records, workshop).fill([left_out, OWN])
    assert len(workshop.made) == 2


def test_a_naive_cell_depends_on_the_definition_and_on_nothing_of_the_exporters(tmp_path: Path) -> None:
    files = ("studies/versus/naive.py", "models/topformer.py", "models/rewrites/x.py", "exporters/to_tflite.py")
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    first = {cell: fingerprint(cell, tmp_path) for cell in (NAIVE, OWN)}
    changed: dict[str, set[str]] = {}
    for name in files:
        (tmp_path / name).write_text("2")
        changed[name] = {cell.side for cell in (NAIVE, OWN) if fingerprint(cell, tmp_path) != first[cell]}
        (tmp_path / name).write_text("1")
    assert list(changed.values()) == [{"naive"}, {"naive", "own"}, {"own"}, {"own"}]


def test_what_a_naive_cell_depends_on_is_there() -> None:
    assert all(list(versus.PACKAGE.glob(pattern)) for pattern in versus.NAIVE_CODE)


def cell(model: str, target: str, side: str, **extra: str) -> Cell:
    return Cell(model, ZOO[model].family, target, "own" if side == "own" else "naive", **extra)


def counted(millions: float, **more: object) -> Outcome:
    outcome = Outcome("f", 1.0, size_bytes=2048, sqnr_db=31.27, instructions=round(millions * 1e6), bound=50e6)
    return replace(replace(outcome, commit="abc", machine="a CPU"), **more)  # type: ignore[arg-type]


def test_a_failing_naive_int8_counts_as_naive_fp32_and_a_failing_own_one_counts_not_at_all() -> None:
    table = Table(
        {
            cell("topformer-tiny", "tflite-fp32", "naive"): counted(300),
            cell("topformer-tiny", "tflite-int8", "naive"): Outcome("f", 1.0, "div.cc"),
            cell("topformer-tiny", "tflite-int8", "own"): counted(100),
            cell("topformer-tiny", "tflite-int8", "own", without="x"): counted(1),
            cell("edgevit-xxs", "tflite-int8", "naive"): counted(1200),
            cell("edgevit-xxs", "tflite-int8", "own"): counted(100),
            cell("conv2former-n", "tflite-int8", "naive"): counted(1),
            cell("conv2former-n", "tflite-int8", "own"): Outcome("f", 1.0, "broken"),
        }
    )
    name = "naive int8 / own int8"
    assert table.ratio("topformer-tiny", "tflite", name, instructions) == 3.0
    assert table.ratio("conv2former-n", "tflite", name, instructions) is None
    assert table.mean_ratio("tflite", name, instructions) == (pytest.approx(6.0), 2)
    assert table.mean_ratio("tflite", name, latency) == (None, 0)
    assert table.best_over_bound("topformer-tiny", ("onnx", "tflite")) == (2.0, "tflite")
    assert table.best_over_bound("conv2former-n", ("tflite",)) is None


def test_a_geometric_mean_of_nothing_is_none() -> None:
    assert geometric_mean([]) is None
    assert geometric_mean([1.0, 4.0]) == pytest.approx(2.0)


def test_the_page_shows_ratios_failures_forms_and_gains() -> None:
    page = render(
        {
            cell("topformer-tiny", "tflite-fp32", "naive"): counted(300, latency_ns=20_000_000),
            cell("topformer-tiny", "tflite-int8", "naive"): Outcome(
                "f", 1.0, "div.cc: zero", commit="abc", machine="a CPU"
            ),
            cell("topformer-tiny", "tflite-fp32", "own"): counted(250, sqnr_db=None, rewrites={"linear_to_conv": 2}),
            cell("topformer-tiny", "tflite-int8", "own"): counted(100, latency_ns=10_000_000),
            cell("topformer-tiny", "tflite-int8", "naive", form="channel-last"): counted(140),
            cell("topformer-tiny", "tflite-int8", "own", without="linear_to_conv"): counted(
                150, with_rewrite=120_000_000, fingerprint="older", commit="def", machine="another"
            ),
        }
    )
    assert "| own fp32 / own int8 | **2.50** [1] (2.5) | (2.1) | (2.3) |" in page
    assert "| topformer-tiny | **2.00** | 3.8 | tflite |" in page
    assert (
        "| topformer-tiny | tflite | 300.0 (6.0) | 250.0 (5.0) | fails [1] | 100.0 (2.0) | 2.50 | 3.00 | 1.20 |" in page
    )
    assert "| topformer-tiny | tflite | 20.00 |  | fails [1] | 10.00 |  | 2.00 |  |" in page
    assert "| topformer-tiny | tflite | 2 | 2 | fails [1] | 2 |" in page
    assert "| topformer-tiny | tflite | 31.3 | equal | fails [1] | 31.3 |" in page
    assert "| tflite-int8 | channel-last | 140.0 | 31.3 |" in page
    assert "| linear_to_conv | topformer-tiny | · | 1.250 |  |  |  |  |" in page
    assert "- [1] div.cc: zero" in page
    assert "| topformer-tiny | abc | abc | def |" in page
    assert "- commit abc: a CPU\n- commit def: another\n" in page


def test_the_promises_name_every_backend_of_the_page() -> None:
    assert all(set(minima) == set(versus.BACKENDS) for minima in MINIMA.values())


def test_the_committed_results_are_what_the_page_shows() -> None:
    known = RecordFile(ROOT / "benchmarks" / "versus.json", Outcome).read()
    compared = list(compared_cells(FAMILIES))
    everything = sorted([*compared, *form_cells(FAMILIES)], key=lambda cell: NETWORKS.index(cell.model))
    everything += left_out_cells(in_order(known, compared))
    assert (ROOT / "benchmarks" / "RESULTS.md").read_text() == render(in_order(known, everything))
    assert not any("with changes" in outcome.commit for outcome in known.values())


def test_an_error_becomes_one_line_without_this_machine_s_folders() -> None:
    assert (
        without_folders("litert could not run /tmp/a-b/model.tflite: div.cc")
        == "litert could not run model.tflite: div.cc"
    )
    assert without_folders("op fully_connected/div at 3/4") == "op fully_connected/div at 3/4"
    assert one_line(RunnerFailed("litert could not run /x/m.tflite", details=["first", "second"])) == (
        "litert could not run m.tflite: first"
    )
    assert one_line(TypeError("\n bad type\n in line 3")) == "TypeError: bad type"


def test_a_child_that_fails_or_hangs_costs_its_cell_alone(tmp_path: Path) -> None:
    unknown = Cell("no-such-network", "topformer", "tflite-int8", "naive")
    assert "no-such-network" in make(unknown, tmp_path)
    assert make(NAIVE, tmp_path, limit_s=0.01) == "no artifact within 0.01 s"


def with_parity(artifact: Artifact, *, damaged: bool = False) -> Path:
    """The folder of an artifact with an error figure in its manifest; `damaged` makes it a file that does not load."""
    if damaged:
        artifact.path.write_bytes(b"no model")
    parity = Parity(0.1, 0.1, 1e-6, 120.0, 1.0, None, 10)
    manifest = replace(artifact.manifest, parity=(parity,), sha256=sha256_of(artifact.path))
    write_manifest(artifact.folder, manifest, ())
    return artifact.folder


def test_a_measured_outcome_has_size_error_and_instructions(small: Artifact) -> None:
    outcome = measure(with_parity(small), Outcome("f", 1.0))
    assert (outcome.error, outcome.sqnr_db, outcome.size_bytes) == ("", 120.0, small.path.stat().st_size)
    assert outcome.macs
    assert outcome.bound == outcome.macs / 4
    assert outcome.instructions
    assert outcome.instructions > outcome.bound


def test_an_artifact_that_does_not_load_on_arm_fails_in_one_line_and_has_no_wall_time(
    small: Artifact, tmp_path: Path
) -> None:
    broken = with_parity(convolution(tmp_path / "broken"), damaged=True)
    outcome = measure(broken, Outcome("f", 1.0))
    assert outcome.error.startswith("on Arm: ")
    assert "\n" not in outcome.error
    assert str(tmp_path) not in outcome.error
    times = take_turns({NAIVE: with_parity(small), OWN: broken})
    assert set(times) == {NAIVE}
    assert times[NAIVE] > 0


def test_a_wish_that_matches_nothing_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--results", str(tmp_path / "r.json"), "--page", str(tmp_path / "p.md")]
    assert main([*arguments, "--only", "nothing"]) == 2
    assert main([*arguments, "--leave-one-out"]) == 2
    assert "no own cell is filled yet" in capsys.readouterr().err
