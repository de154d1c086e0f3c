"""The declared grid is whole: every arm, scene, seed and number of labels, once."""

from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from evidence.grid import (
    EXPLAINING_SEEDS,
    OWN,
    PATCHES,
    RAISED_SEEDS,
    RANKS,
    RATES,
    REPORTED,
    SEEDS,
    STABILITY,
    STABILITY_SEEDS,
    STAGES,
    SWEEP_SEEDS,
    SWEPT,
    TUNING,
    TUNING_SEEDS,
    WIDTH_TUNING_SEEDS,
    cells_of,
    pilot_trials,
    stage_trials,
    tuning_trials,
)
from evidence.paired import least_gain
from evidence.variants import CORE, PRIMARY, RAISED, VARIANTS, WIDE

CHOSEN = {cell: 1e-4 * (k + 1) for k, cell in enumerate(dict.fromkeys([*OWN, *SWEPT]))}


def test_the_main_stage_has_every_arm_on_every_scene_with_every_seed(setting):
    trials = list(stage_trials("main", setting, CHOSEN))
    seen = Counter((t.arm, t.scene, t.seed, t.patches) for t in trials)
    explaining = [arm for arm in VARIANTS if arm not in CORE]
    assert seen == Counter(
        [
            *product(RAISED, REPORTED, RAISED_SEEDS, [None]),
            *product([arm for arm in CORE if arm not in RAISED], REPORTED, SEEDS, [None]),
            *product(explaining, REPORTED, EXPLAINING_SEEDS, [None]),
        ]
    )
    assert {arm for pair in PRIMARY for arm in pair} <= set(CORE)


def test_stability_asks_for_runs_of_the_main_stage_once_more(setting):
    main = set(stage_trials("main", setting, CHOSEN))
    again = list(stage_trials(STABILITY, setting, CHOSEN))
    assert {t.precision for t in again} == {"bfloat16"}
    assert {replace(t, precision=setting.precision) for t in again} <= main
    seen = Counter((t.arm, t.scene, t.seed) for t in again)
    assert seen == Counter(product(VARIANTS, REPORTED, STABILITY_SEEDS))


def test_the_sweeps_are_whole(setting):
    widths = Counter((t.arm, t.rank, t.scene) for t in stage_trials("ranks", setting, CHOSEN))
    assert set(widths) == set(product(WIDE, RANKS, REPORTED))
    labels = Counter((t.arm, t.patches, t.scene) for t in stage_trials("labels", setting, CHOSEN))
    assert set(labels) == set(product(CORE, PATCHES, REPORTED))
    assert set(widths.values()) == set(labels.values()) == {len(SWEEP_SEEDS)}


def test_every_arm_gets_the_same_search(setting):
    for stage in ("tune", "tune-ranks"):
        trials = list(tuning_trials(setting, cells_of(stage)))
        by_cell = {}
        for t in trials:
            by_cell.setdefault((t.arm, t.rank), []).append((t.scene, t.seed, t.rate))
        assert set(by_cell) == {(c.arm, c.rank) for c in cells_of(stage)}
        for searched in by_cell.values():
            seeds = TUNING_SEEDS if stage == "tune" else WIDTH_TUNING_SEEDS
            assert sorted(searched) == sorted(product(TUNING, seeds, RATES))


def test_what_is_searched_on_is_not_reported():
    assert not set(TUNING) & set(REPORTED)
    assert not set(TUNING_SEEDS) & set(SEEDS)


def test_every_stage_has_its_rates_from_a_search():
    searched = {*cells_of("tune"), *cells_of("tune-ranks")}
    assert all(set(cells_of(stage)) <= searched for stage in STAGES)


def test_runs_take_the_rate_of_their_cell(setting):
    for t in stage_trials("ranks", setting, CHOSEN):
        assert CHOSEN[next(c for c in SWEPT if (c.arm, c.rank) == (t.arm, t.rank))] == t.rate


def test_stages_share_what_they_have_in_common(setting):
    main, ranks = (set(stage_trials(s, setting, CHOSEN)) for s in ("main", "ranks"))
    assert len(main & ranks) == 4 * len(REPORTED) * len(SWEEP_SEEDS)


def test_more_seeds_add_runs_and_change_none(setting):
    few = list(stage_trials("main", setting, CHOSEN, range(3)))
    assert list(stage_trials("main", setting, CHOSEN, range(12)))[: len(few)] == few


def test_names_tell_all_runs_apart(setting):
    trials = [
        *tuning_trials(setting, [*OWN, *SWEPT]),
        *stage_trials("main", setting, CHOSEN),
        *stage_trials("labels", setting, CHOSEN),
        *stage_trials(STABILITY, setting, CHOSEN),
        *pilot_trials(setting),
    ]
    assert len({t.name for t in trials}) == len(set(trials))


def test_the_pilot_is_small_and_apart(setting):
    trials = list(pilot_trials(setting))
    assert len(trials) == 4
    assert {t.purpose for t in trials} == {"pilot"}


@pytest.mark.parametrize("name", VARIANTS)
def test_what_an_arm_is_compared_with_is_an_arm(name):
    reference = VARIANTS[name].reference
    assert reference in VARIANTS or (reference is None and name == "decoder")
    assert all(VARIANTS[arm].reference == base for arm, base in PRIMARY)


def test_the_protocol_says_what_the_grid_is(setting):
    said = (Path(__file__).parents[2] / "docs" / "evidence.md").read_text(encoding="utf-8")
    for stage in STAGES:
        trials = list(
            tuning_trials(setting, cells_of(stage))
            if stage.startswith("tune")
            else stage_trials(stage, setting, CHOSEN)
        )
        row = next(line for line in said.splitlines() if line.startswith(f"| `{stage}` |"))
        assert row.split("|")[-2].split(",")[0].strip() == str(len(set(trials)))
    assert all(f"`{scene}`" in said for scene in (*REPORTED, *TUNING))
    assert f"{len(SEEDS) * len(REPORTED)} pairs" in said
    assert least_gain(50, 0.0247) <= 0.01 < least_gain(50, 0.0248)
    assert least_gain(len(RAISED_SEEDS) * len(REPORTED), 0.0327) <= 0.01
