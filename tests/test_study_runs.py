"""Running studies: the same rows whoever computes, and valid tables however a run ends."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from qoex.errors import InvalidInputError, QoexError
from qoex.experiments.runners import LocalRunner
from qoex.experiments.running import interrupts_deferred, run_studies
from qoex.experiments.study import Row, Study
from qoex.experiments.tables import read_manifest, read_table
from small_studies import SMALL, Digits, Recorder, small_sweep

SERIAL = LocalRunner(1)
# It starts other processes after two tasks, however little there is to do.
PARALLEL = LocalRunner(2, patience=0.0)


def rows_of(study: Study, seeds: range) -> list[Row]:
    return [row for seed in seeds for row in study.rows(seed)]


def test_one_process_and_two_give_the_same_rows(tmp_path: Path) -> None:
    one = run_studies([SMALL], tmp_path / "1", range(6), SERIAL)["small"]
    two = run_studies([SMALL], tmp_path / "2", range(6), PARALLEL)["small"]
    assert one.equals(two)
    assert one.height == 24
    first, second = (tmp_path / name / "small.parquet" for name in "12")
    assert first.read_bytes() == second.read_bytes()
    runs = [read_manifest(tmp_path / name, "small")["runs"][0] for name in "12"]
    assert [(run["runner"], run["jobs"]) for run in runs] == [("local", 1), ("local", 2)]


@pytest.mark.parametrize("here_first", [False, True])
def test_several_studies_at_once(tmp_path: Path, here_first: bool) -> None:
    studies = [
        Digits(name=name, flavour=name, points=points) for name, points in (("a", 1), ("b", 4))
    ]
    fixed = Digits(name="c", fixed=True)
    seen: list[tuple[int, int]] = []
    frames = run_studies(
        [*studies, fixed],
        tmp_path,
        range(5),
        LocalRunner(2, patience=0.0, here_first=here_first),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert list(frames) == ["a", "b", "c"]
    for study in studies:
        assert frames[study.name].to_dicts() == rows_of(study, range(5))
    assert frames["c"].to_dicts() == fixed.rows(0)
    assert seen[0] == (0, 28)
    assert seen[-1] == (28, 28)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_only_what_is_missing_is_computed(tmp_path: Path) -> None:
    study, fixed = Digits(), Digits(name="fixed", fixed=True)
    run_studies([study, fixed], tmp_path, [1, 4], SERIAL)
    recorder = Recorder()
    frames = run_studies([study, fixed], tmp_path, range(5), recorder)
    assert recorder.tasks == [(0, 0), (0, 2), (0, 3)]
    assert frames["digits"].to_dicts() == rows_of(study, range(5))
    again = Recorder()
    run_studies([study, fixed], tmp_path, range(3), again)
    assert again.tasks == []
    assert set(read_table(tmp_path, "digits")["seed"]) == set(range(5))


def test_a_run_that_fails_keeps_what_it_had(tmp_path: Path) -> None:
    recorder = Recorder(fails_after=3)
    with pytest.raises(ConnectionError):
        run_studies([Digits(name="a"), Digits(name="b")], tmp_path, range(5), recorder)
    assert recorder.closed
    assert set(read_table(tmp_path, "b")["seed"]) == {2, 3, 4}
    assert read_table(tmp_path, "a").height == 0
    assert read_manifest(tmp_path, "b")["missing_seeds"] == [0, 1]
    assert not list(tmp_path.glob("*.parts"))


def test_an_interrupt_in_the_callback_closes_the_runner(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done >= 6:
            raise KeyboardInterrupt

    recorder = Recorder()
    with pytest.raises(KeyboardInterrupt):
        run_studies([Digits()], tmp_path, range(9), recorder, progress=interrupt)
    assert recorder.closed
    assert set(read_table(tmp_path, "digits")["seed"]) == {7, 8}


def test_one_table_that_cannot_be_written_costs_no_other(tmp_path: Path) -> None:
    def obstruct(done: int, total: int) -> None:
        (tmp_path / "b.parquet").mkdir(exist_ok=True)

    studies = [Digits(name=name) for name in "abc"]
    with pytest.raises(InvalidInputError, match=r"b\.parquet: cannot be written"):
        run_studies(studies, tmp_path, range(2), SERIAL, progress=obstruct)
    # It is found when the table of "b" is whole, so that nothing of "c" is computed any more.
    assert {name: set(read_table(tmp_path, name)["seed"]) for name in "ac"} == {
        "a": {0, 1},
        "c": set(),
    }
    assert sorted(path.name for path in (tmp_path / "b.parts").iterdir()) == ["000000.parquet"]


def test_a_refused_folder_is_left_as_it_was(tmp_path: Path) -> None:
    run_studies([Digits(name="b", flavour="sour")], tmp_path, [0], SERIAL)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InvalidInputError, match="other parameters"):
        run_studies([Digits(name="a"), Digits(name="b")], tmp_path, [0], SERIAL)
    assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(InvalidInputError, match="two studies are named 'a'"):
        run_studies([Digits(name="a"), Digits(name="a")], tmp_path, [0], SERIAL)


def test_a_process_that_dies_is_one_sentence_and_keeps_the_rest(tmp_path: Path) -> None:
    study = Digits(seconds=0.01, deadly_seed=30)
    with pytest.raises(QoexError, match="a process that was computing died"):
        run_studies([study], tmp_path, range(60), PARALLEL)
    there = read_table(tmp_path, "digits")
    assert 0 < there.height < 180
    seeds = sorted(set(there["seed"]))
    assert there.to_dicts() == [row for seed in seeds for row in study.rows(seed)]


def test_little_work_is_done_before_others_could_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("other processes were started")

    monkeypatch.setattr(LocalRunner, "_run_elsewhere", never)
    study = Digits()
    done = dict(LocalRunner(2).run([study], [(0, seed) for seed in range(5)]))
    assert done == {(0, seed): study.rows(seed) for seed in range(5)}


def test_jobs_are_at_least_one() -> None:
    assert LocalRunner().jobs >= 1
    with pytest.raises(InvalidInputError, match="jobs is 0; it must be one or more"):
        LocalRunner(0)


def test_ctrl_c_waits_for_the_end_of_a_block() -> None:
    reached = []

    def interrupted(times: int) -> None:
        with interrupts_deferred():
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
            reached.append(times)

    with pytest.raises(KeyboardInterrupt):
        interrupted(1)
    assert reached == [1]
    with pytest.raises(KeyboardInterrupt):
        interrupted(2)  # a second one is in earnest
    assert reached == [1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_leave_signals_alone() -> None:
    def enter() -> None:
        with interrupts_deferred():
            seen.append(signal.getsignal(signal.SIGINT))

    seen: list[Any] = []
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


def test_a_sweep_of_random_and_of_given_markets_side_by_side(tmp_path: Path) -> None:
    world = SMALL._world(0)
    given = small_sweep(
        name="given", vary="snr_db", values=(5, 15), users=5, scenario=world, overload="refuse"
    )
    frames = run_studies([SMALL, given], tmp_path, range(2), SERIAL)
    assert frames["given"]["seed"].unique().to_list() == [0]
    assert frames["given"].height == 4
    assert frames["small"].height == 8
