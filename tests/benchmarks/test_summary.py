"""What is concluded from a table, and what is not shown before it is whole."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import torch
from evidence.command import TABLE, main
from evidence.grid import OWN, RATES, STABILITY, SWEPT, cells_of, stage_trials, tuning_trials
from evidence.summary import chosen_rates, compare, declared_comparisons, tuning_frame, verdict
from evidence.table import COLUMNS, Table, frame_of
from evidence.variants import VARIANTS

from geocobot.models.precision import Compute

CELLS = tuple(dict.fromkeys([*OWN, *SWEPT]))
EXACT = Compute(torch.device("cpu"), "float32")


def iou(trial, gain=0.02):
    """Scenes and seeds differ much, arms little; the third rate is the best."""
    luck = np.random.default_rng(trial.seed).normal(0, 0.05) + 0.05 * len(trial.scene) % 0.3
    noise = np.random.default_rng([trial.seed, len(trial.arm), len(trial.scene)]).normal(0, 0.002)
    rate = -0.01 * abs(RATES.index(trial.rate) - 2)
    return 0.4 + luck + noise + rate + gain * (trial.arm == "lora-cobot")


def health(trial):
    """Of an arm with COBOT the relation matrix gets worse from epoch to epoch."""
    if "cobot" not in trial.arm:
        return {}
    epochs = [1.1, 1.2, 1.3][: 2 + trial.seed % 2]
    coarse = 10 * (trial.precision == "bfloat16")
    return {
        "condition_s_by_epoch": json.dumps(epochs),
        "condition_w_by_epoch": json.dumps([10 * e for e in epochs]),
        "condition_s_max": max(epochs) + coarse,
        "condition_w_max": 10 * max(epochs),
        "loss_spikes": float(bool(coarse)),
    }


def fill(table, trials, figures):
    """Write many rows at once: what `append` would leave, without its flush after each."""
    table.path.parent.mkdir(exist_ok=True)
    rows = [
        trial.key | figures(mean_iou=iou(trial), **health(trial)) for trial in dict.fromkeys(trials)
    ]
    pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(table.path, index=False)
    return table


@pytest.fixture
def tuned(table, setting, figures):
    return fill(table, tuning_trials(setting, CELLS), figures)


@pytest.fixture
def whole(table, setting, figures):
    rates = dict.fromkeys(CELLS, RATES[2])
    trials = list(tuning_trials(setting, CELLS))
    for stage in ("main", "labels", STABILITY, "ranks"):
        trials += stage_trials(stage, setting, rates)
    return fill(table, trials, figures)


@pytest.fixture
def command(monkeypatch, table, tmp_path, setting):
    monkeypatch.setattr("evidence.command.make_setting", lambda _: setting)
    out = tmp_path / "out"
    common = ["--table", str(table.path), "--out", str(out)]
    return lambda *words: main([*words, *common])


def main_frame(table, setting):
    rates = dict.fromkeys(CELLS, RATES[2])
    return frame_of(table.rows(), list(stage_trials("main", setting, rates)), "evidence")


def test_the_best_rate_of_the_search_is_taken(tuned, setting):
    frame = tuning_frame(tuned.rows(), setting, CELLS)
    assert chosen_rates(frame, CELLS) == dict.fromkeys(CELLS, RATES[2])


def test_an_unfinished_search_chooses_nothing(table, setting, figures, command):
    fill(table, list(tuning_trials(setting, cells_of("tune")))[:-1], figures)
    with pytest.raises(SystemExit, match="1 of 192 runs are not made yet; run --stages tune"):
        command("run", "--stages", "main")


def test_a_gain_is_found_in_spite_of_scenes_and_seeds_that_differ_more(whole, setting):
    found = compare(main_frame(whole, setting), "lora-cobot", "lora")
    assert found.gain.pairs == 90
    assert found.gain.mean == pytest.approx(0.02, abs=0.002)
    assert found.gain.by_t[0] > 0.015
    assert "a gain, worth having" in verdict(found)


def test_no_gain_is_called_none(whole, setting):
    found = compare(main_frame(whole, setting), "adaptformer-cobot", "adaptformer")
    assert "one point is excluded" in verdict(found)


def test_too_few_pairs_decide_nothing(whole, setting):
    frame = main_frame(whole, setting)
    few = frame[(frame["seed"] < 2) & (frame["scene"] == "rio_buildings")].copy()
    few["mean_iou"] += np.random.default_rng(1).normal(0, 0.05, len(few))
    assert "not decided" in verdict(compare(few, "adaptformer-cobot", "adaptformer"))


def test_every_arm_is_compared_once(whole, setting):
    found = [(c.arm, c.reference) for c in declared_comparisons(main_frame(whole, setting))]
    assert found[:2] == [("lora-cobot", "lora"), ("adaptformer-cobot", "adaptformer")]
    assert len(found) == len(set(found))
    assert {arm for arm, _ in found} == {n for n, v in VARIANTS.items() if v.reference}


def test_runs_without_a_partner_are_refused(whole, setting):
    frame = main_frame(whole, setting)
    lonely = frame.drop(frame[(frame["arm"] == "lora") & (frame["seed"] == 2)].index)
    with pytest.raises(ValueError, match="lora-cobot and lora do not pair up"):
        compare(lonely, "lora-cobot", "lora")
    with pytest.raises(ValueError, match="several runs of lora"):
        compare(pd.concat([frame, frame]), "lora", "decoder")


def test_a_reference_may_have_more_seeds(table, setting, figures):
    trials = list(stage_trials("main", setting, dict.fromkeys(CELLS, RATES[2]), range(7)))
    frame = frame_of(fill(table, trials, figures).rows(), trials, "evidence")
    found = {(c.arm, c.reference): c.gain.pairs for c in declared_comparisons(frame)}
    assert found["lora-cobot", "lora"] == 35
    assert found["identity", "lora-cobot"] == 25
    first = compare(frame[frame["seed"] < 5], "identity", "lora-cobot")
    assert compare(frame, "identity", "lora-cobot").gain == first.gain


def test_what_bfloat16_changes_is_a_table(whole, command, capsys):
    command("report")
    said = capsys.readouterr().out.partition("## Stability")[2]
    row = next(line for line in said.splitlines() if line.startswith("| LoRA + COBOT |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:3] == ["5", "+0.00"]
    assert cells[4:] == ["0", "5", "1.2", "11.2", "12", "12"]


def test_a_report_needs_no_bfloat16(whole, command, capsys):
    lines = whole.path.read_text().splitlines(keepends=True)
    whole.path.write_text("".join(line for line in lines if ",bfloat16," not in line))
    command("report")
    assert "## Stability" not in capsys.readouterr().out


def test_a_processor_without_bfloat16_leaves_it_out(table, command, monkeypatch, capsys):
    monkeypatch.setattr("evidence.command.choose_compute", lambda *_: EXACT)
    command("run", "--stages", STABILITY)
    assert "left out, this processor does not compute so" in capsys.readouterr().out
    assert table.rows() == []


def test_the_report_has_all_tables_and_figures(whole, command, tmp_path, capsys):
    command("report")
    said = capsys.readouterr().out
    assert re.search(r"LoRA \+ COBOT beside LoRA: a gain, worth having \(\+[12]\.\d\d IoU", said)
    assert (tmp_path / "out" / "report.md").read_text() == said
    for name in ("gains", "scenes", "health", "widths", "labels", "rates"):
        drawing = tmp_path / "out" / f"{name}.svg"
        assert "</svg>" in drawing.read_text()
        assert drawing.stat().st_size < 200_000
        assert drawing.with_suffix(".png").is_file()


def without(table, trial):
    """Take the row of a run away."""
    rows = [row for row in table.rows() if any(row[n] != v for n, v in trial.key.items())]
    pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(table.path, index=False)


def test_nothing_is_shown_before_the_questions_can_be_answered(
    whole, setting, command, tmp_path, capsys
):
    without(whole, next(stage_trials("main", setting, dict.fromkeys(CELLS, RATES[2]))))
    with pytest.raises(SystemExit, match="nothing is shown before it is whole: main: 1 of 570"):
        command("report")
    assert not (tmp_path / "out" / "report.md").exists()
    assert capsys.readouterr().out == ""


def test_few_seeds_are_no_way_to_look_earlier(table, setting, figures, command):
    trials = [*tuning_trials(setting, CELLS)]
    trials += stage_trials("main", setting, dict.fromkeys(CELLS, RATES[2]), range(3))
    fill(table, trials, figures)
    with pytest.raises(SystemExit, match="main: 390 of 570 runs are not made yet"):
        command("report", "--seeds", "3")


def test_a_stage_is_shown_once_it_is_whole(whole, setting, command, tmp_path, capsys):
    without(whole, next(stage_trials("labels", setting, dict.fromkeys(CELLS, RATES[2]))))
    command("report")
    said = capsys.readouterr().out
    assert "## Widths" in said
    assert "## Labelled patches" not in said
    assert not (tmp_path / "out" / "labels.svg").exists()
    assert said.endswith("## Not made yet\n\n- labels: 1 of 270 runs are not made yet\n")


def test_widths_wait_for_their_own_search(table, setting, figures, command, capsys):
    rates = dict.fromkeys(CELLS, RATES[2])
    trials = [*tuning_trials(setting, OWN), *stage_trials("main", setting, rates)]
    fill(table, trials, figures)
    command("report")
    said = capsys.readouterr().out
    assert "- ranks: learning rates are not chosen yet: 96 of 160 runs are not made yet" in said
    assert "| LoRA | 4 |" in said.partition("## Learning rates")[2]


def test_power_shows_no_mean(whole, command, capsys):
    command("power")
    said = capsys.readouterr().out
    row = next(line for line in said.splitlines() if line.startswith("| LoRA + COBOT | LoRA |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[2] == "90"
    assert 0.2 < float(cells[3]) < 0.5  # two arms' noise of 0.2 points each
    assert "+" not in row.replace("LoRA + COBOT", "")


def test_power_before_any_seed_is_whole(tuned, command):
    with pytest.raises(SystemExit, match="no seed has all of its runs"):
        command("power")


def test_the_committed_table_can_be_read(tmp_path):
    for row in Table(TABLE, tmp_path).rows():
        assert row["purpose"] in ("evidence", "tuning")
