"""The table of the evidence: whole rows only, whoever writes, and nothing made twice."""

import multiprocessing
import os
from dataclasses import replace
from functools import partial

import pytest
from evidence.table import ASKED, COLUMNS, Table, frame_of, missing
from evidence.work import make_missing

SPAWN = multiprocessing.get_context("fork")


def test_a_row_comes_back_as_it_was_written(table, trial, figures):
    assert table.rows() == []
    assert table.finished(trial) is None
    table.append(trial, figures(mean_iou=0.1 + 0.2))
    row = table.finished(trial)
    assert row is not None
    assert float(row["mean_iou"]) == 0.1 + 0.2
    assert row["iou"] == '{"road, paved": 0.5}'
    assert row["patches"] == ""
    assert table.path.read_text().splitlines()[0] == ",".join(COLUMNS)


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"rate": 2.1e-4}, {"patches": 4}, {"rank": 8}, {"purpose": "pilot"}]
)
def test_another_run_is_another_row(table, trial, figures, other):
    table.append(trial, figures())
    assert table.finished(replace(trial, **other)) is None
    assert missing(table.rows(), [trial, replace(trial, **other)]) == [replace(trial, **other)]
    assert replace(trial, **other).name != trial.name


def test_figures_are_neither_missing_nor_unknown(table, trial, figures):
    with pytest.raises(ValueError, match="a row has mean_iou, iou"):
        table.append(trial, figures(speed=3))
    assert not table.path.exists()


@pytest.mark.parametrize("cut", [1, 5, 60])
def test_a_torn_row_is_left_out_and_replaced(table, trial, figures, cut):
    table.append(trial, figures())
    whole = table.path.read_bytes()
    table.append(replace(trial, seed=1), figures())
    table.path.write_bytes(table.path.read_bytes()[:-cut])
    assert missing(table.rows(), [trial, replace(trial, seed=1)]) == [replace(trial, seed=1)]
    table.append(replace(trial, seed=2), figures())
    assert table.path.read_bytes().startswith(whole)
    assert [row["seed"] for row in table.rows()] == ["0", "2"]


def test_other_columns_are_refused(table):
    table.path.parent.mkdir()
    table.path.write_text("arm,iou\nlora,0.5\n")
    with pytest.raises(ValueError, match=r"evidence.csv has other columns"):
        table.rows()


def write(folder, trial, figures, seeds):
    table = Table(folder / "evidence.csv", folder / "locks")
    for seed in seeds:
        table.append(replace(trial, seed=seed), figures)


def test_processes_append_side_by_side(tmp_path, trial, figures):
    rows = figures(machine="x" * 5000)  # longer than a pipe's or a page's worth
    shares = [range(k, 60, 4) for k in range(4)]
    workers = [SPAWN.Process(target=write, args=(tmp_path, trial, rows, s)) for s in shares]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    table = Table(tmp_path / "evidence.csv", tmp_path / "locks")
    assert sorted(int(row["seed"]) for row in table.rows()) == list(range(60))
    assert {row["machine"] for row in table.rows()} == {"x" * 5000}


def test_a_claimed_run_is_nobody_elses(table, trial, figures):
    with table.claim(trial) as mine:
        assert mine
        with Table(table.path, table.locks).claim(trial) as theirs:
            assert not theirs
        with table.claim(replace(trial, seed=1)) as other:
            assert other
    table.append(trial, figures())
    with table.claim(trial) as again:
        assert not again


def die_with_a_claim(folder, trial):
    with Table(folder / "evidence.csv", folder / "locks").claim(trial) as mine:
        os._exit(7 if mine else 1)


def test_who_dies_lets_go(tmp_path, trial):
    worker = SPAWN.Process(target=die_with_a_claim, args=(tmp_path, trial))
    worker.start()
    worker.join(60)
    assert worker.exitcode == 7
    with Table(tmp_path / "evidence.csv", tmp_path / "locks").claim(trial) as mine:
        assert mine


def test_only_what_is_missing_is_made(table, trial, figures):
    trials = [replace(trial, seed=seed) for seed in range(4)]
    table.append(trials[1], figures())
    made = []

    def make(asked):
        made.append(asked.seed)
        return figures()

    assert make_missing(table, trials, make) == []
    assert made == [0, 2, 3]
    assert make_missing(table, trials, make) == []
    assert made == [0, 2, 3]


def test_a_run_that_fails_stops_no_other_and_is_made_at_the_next_start(
    table, trial, figures, capsys
):
    trials = [replace(trial, seed=seed) for seed in range(3)]

    def make(asked, *, bad):
        if asked.seed == bad:
            raise RuntimeError("out of luck")
        return figures()

    assert make_missing(table, trials, partial(make, bad=1)) == [trials[1]]
    assert "out of luck" in capsys.readouterr().out
    assert make_missing(table, trials, partial(make, bad=None)) == []
    assert [row["seed"] for row in table.rows()] == ["0", "2", "1"]


def share(folder, trials, figures, made):
    def make(asked):
        made.put(asked.seed)
        return figures

    assert make_missing(Table(folder / "evidence.csv", folder / "locks"), trials, make) == []


def test_processes_share_the_work(tmp_path, trial, figures, monkeypatch):
    monkeypatch.setattr("evidence.work._WAIT_S", 0.05)
    trials = [replace(trial, seed=seed) for seed in range(30)]
    made = SPAWN.Queue()
    workers = [
        SPAWN.Process(target=share, args=(tmp_path, trials, figures(), made)) for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    seeds = sorted(made.get(timeout=60) for _ in trials)
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert seeds == list(range(30))
    assert made.empty()


def test_purposes_are_never_put_together(table, trial, figures):
    table.append(trial, figures())
    pilot = replace(trial, purpose="pilot")
    table.append(pilot, figures(mean_iou=0.9))
    assert frame_of(table.rows(), [trial], "evidence")["mean_iou"].tolist() == [0.5]
    with pytest.raises(ValueError, match="runs of another purpose"):
        frame_of(table.rows(), [trial, pilot], "evidence")


def test_a_frame_is_whole_or_nothing(table, trial, figures):
    table.append(trial, figures())
    with pytest.raises(ValueError, match="1 of 2 runs are not made yet"):
        frame_of(table.rows(), [trial, replace(trial, seed=1)], "evidence")
    assert set(ASKED) < set(frame_of(table.rows(), [trial], "evidence").columns)
