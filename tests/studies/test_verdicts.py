"""The simulated trials of docs/verdicts.md, fewer of them; the whole study is slow."""

from __future__ import annotations

import pytest

from edgedeploy.studies.verdicts.simulation import MLPERF, P90, all_trials, creep_trials, run_interleaved, run_trials
from edgedeploy.studies.verdicts.traces import DRIFTING, PHONE, QUIET


def test_equal_artifacts_rarely_raise_an_alarm() -> None:
    assert run_trials("equal", 100, PHONE, seed=1).alarms <= 2
    assert run_trials("equal", 30, QUIET, seed=2).same >= 29


def test_by_p90_equal_artifacts_raise_no_more_alarms_and_a_slowdown_of_ten_percent_is_found() -> None:
    assert run_trials("equal", 300, PHONE, seed=13, manner=P90).alarms <= 3
    assert run_trials("equal", 100, PHONE, seed=16, manner=MLPERF).alarms <= 2
    assert run_trials("slower", 20, QUIET, 1.1, seed=14, manner=P90).slower >= 19


def test_a_slowdown_of_five_percent_is_found_where_it_is_quiet() -> None:
    assert run_trials("slower", 40, QUIET, 1.05, seed=3).slower >= 38


def test_where_it_drifts_a_slowdown_is_found_or_the_row_is_not_trusted() -> None:
    found = run_trials("slower", 60, DRIFTING, 1.05, seed=5)
    assert (found.same, found.faster) == (0, 0)
    assert found.slower + found.not_trustworthy >= 59


def test_a_slowdown_under_the_noise_of_phones_is_never_called_the_same() -> None:
    found = run_trials("slower", 60, PHONE, 1.05, seed=4)
    assert (found.same, found.faster) == (0, 0)


def test_in_turns_a_slowdown_is_found_in_any_noise_and_equal_artifacts_raise_no_alarm() -> None:
    for noise in (PHONE, DRIFTING):
        assert run_interleaved("slower", 40, noise, 1.05, seed=9).slower >= 38
        assert run_interleaved("equal", 100, noise, seed=8).alarms <= 2


def test_a_creep_is_found_by_the_history() -> None:
    creeping, steady = creep_trials(10)
    assert creeping >= 9
    assert steady <= 1


@pytest.mark.slow
def test_the_whole_study_keeps_what_is_promised() -> None:
    phones, quiet, slower, noisy, drifting, more_drifting, *others = all_trials()
    learned, by_p90, _, p90_learned, mlperf, slower_mlperf, *in_turns = others
    equal_in_turns, slower_in_turns, equal_drifting, slower_drifting = in_turns
    assert max(learned.alarms, by_p90.alarms, p90_learned.alarms, mlperf.alarms) <= 10  # of 2,000
    assert slower_mlperf.slower >= 475  # of 500
    assert phones.alarms < 20  # of 2,000
    assert quiet.alarms < 5
    assert slower.slower >= 475  # of 500
    assert noisy.same == drifting.same == more_drifting.same == 0
    assert equal_in_turns.alarms < 20  # of 2,000
    assert equal_drifting.alarms < 5
    assert min(slower_in_turns.slower, slower_drifting.slower) >= 475  # of 500
    assert slower_in_turns.same == slower_drifting.same == 0
    assert drifting.unknown_trusted + more_drifting.unknown_trusted <= 5
    assert creep_trials(100)[0] >= 95
