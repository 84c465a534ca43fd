"""operator_rows.h: one row for each operator of a run, also where several have one name."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edgedeploy.android_harness import bundles
from tests.phones import need

PROGRAM = """
#include <cstdio>
#include "operator_rows.h"
int main(int count, char** runs) {
  edgedeploy::OperatorRows rows;
  for (int run = 1; run < count; run++) {
    rows.begin_run();
    for (const char* name = runs[run]; *name != 0; name++)
      rows[rows.next_row({*name}, "", edgedeploy::Delegated::kNo)].calls++;
  }
  for (const auto& row : rows.rows()) std::printf("%s%d ", row.name.c_str(), static_cast<int>(row.calls));
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need(["g++"])
    folder = tmp_path_factory.mktemp("rows")
    (folder / "main.cpp").write_text(PROGRAM)
    sources = Path(bundles.__file__).parent / "runner"
    subprocess.run(["g++", "-std=c++17", "-I", sources, "-o", "rows", "main.cpp"], cwd=folder, check=True)
    return folder / "rows"


@pytest.mark.parametrize(
    ("runs", "rows"),
    [
        (["aba", "aba", "aba"], "a3 b3 a3"),  # equal runs: each operator keeps its row
        (["abc", "ac"], "a2 b1 c2"),  # one that did not run is passed over
        (["ab", "ba"], "a2 b2"),  # another order
        (["a", "aa"], "a2 a1"),  # one more of a name gets a row
        ([], ""),
    ],
)
def test_the_nth_event_of_a_name_belongs_to_its_nth_row(program: Path, runs: list[str], rows: str) -> None:
    done = subprocess.run([program, *runs], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == rows
