"""Making runs: one by one, each in a process of its own, side by side with other processes."""

from __future__ import annotations

import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from arms import Job, begin, figures, judge, score_part, split, survey_place, train
from label_hunger import choose_patches

from evidence.grid import CROP_PX, EPOCH_STEPS, MAX_VIEWS, Trial
from evidence.scenes import FEW_PATCH_PX, USUAL_FEW_PATCH_PX, find_scene
from evidence.table import Table, missing
from evidence.variants import make_arm
from geocobot.adapters.attach import count_parameters
from geocobot.adapters.health import condition_numbers
from geocobot.data.split import Split

Make = Callable[[Trial], Mapping[str, object]]

_WAIT_S = 5.0


def make_missing(table: Table, trials: Sequence[Trial], make: Make) -> list[Trial]:
    """Make the runs that are missing, until none is, whoever makes them.

    Args:
        table: where they are noted.
        trials: which are wanted, in this order.
        make: makes one.

    Returns:
        Those that failed here, and are still missing; what they said is printed.
    """
    failed: list[Trial] = []
    while pending := [t for t in missing(table.rows(), trials) if t not in failed]:
        at_work = False
        for trial in pending:
            with table.claim(trial) as mine:
                if mine:
                    at_work = True
                    if not _made(table, trial, make, trials):
                        failed.append(trial)
        if not at_work:
            time.sleep(_WAIT_S)  # others are at what is left; they may fail
    return failed


def make_apart(trial: Trial, checkpoint: Path | None, folder: Path) -> Mapping[str, object]:
    """Make a run in a process of its own, so that its peak memory is its own.

    A fork server has imported everything before.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["evidence.work"])
    with ProcessPoolExecutor(1, mp_context=context) as alone:
        return alone.submit(make_run, trial, checkpoint, folder).result()


def make_run(trial: Trial, checkpoint: Path | None, folder: Path) -> dict[str, object]:
    """Train an arm on one part of a scene and judge it on the other.

    Args:
        trial: what is asked.
        checkpoint: file with the pretrained weights; None for the base's own.
        folder: for scenes that have to be made, and logs.

    Returns:
        The figures of a row.
    """
    job = Job(
        scene=trial.scene,
        arm=trial.arm,
        seed=trial.seed,
        minutes=1.0,
        max_views=MAX_VIEWS,
        threads=1,
        budget_steps=trial.steps,
        rate=trial.rate,
        patches=trial.patches,
        checkpoint=None if checkpoint is None else str(checkpoint),
        precision=trial.precision,  # type: ignore[arg-type] # read from the command line
    )
    place = find_scene(trial.scene, folder / "scenes")
    log = folder / "logs" / f"{trial.name}.csv"
    # Parts are cut out into a folder of this run: other processes cut out the same ones.
    with tempfile.TemporaryDirectory() as parts:
        ground, judged, options = survey_place(place, "pretrained", job, Path(parts))
        splits: Sequence[Split] = split(ground, options)
        options = replace(options, crop_size=CROP_PX)
        if trial.patches is not None:
            side_px = FEW_PATCH_PX.get(trial.scene, USUAL_FEW_PATCH_PX)
            chosen = choose_patches(ground, trial.seed, side_px)[: trial.patches]
            if len(chosen) < trial.patches:
                raise ValueError(f"{trial.scene} has {len(chosen)} patches of {side_px} px")
            # Nothing is held out of so little; see benchmarks/label_hunger.py.
            splits = [Split(train=chosen, val=chosen[:1], patch_px=side_px, gap_px=0)]
            options = replace(options, crop_size=max(64, side_px // 2))
        trained = train(
            job,
            ground,
            splits,
            options,
            validated=trial.patches is None,
            arm=make_arm(trial.arm, trial.rank, trial.base),
            steps_per_epoch=min(EPOCH_STEPS, trial.steps),
            log=log,
        )
        compute = begin(job)
        scored = score_part(trained, ground, judged, compute)
        found = figures(trained, judge(trained, scored, ground, judged, None), compute)
    encoder: Any = trained.segmenter.encoder
    counts = count_parameters(encoder)
    taken = ("mean_iou", "everywhere_iou", "validation_iou", "tile_px", "views", "seconds",
             "stopped_by", "trained_parameters", "peak_gib", "machine", "commit")  # fmt: skip
    return {
        **{name: found[name] for name in taken},
        "iou": json.dumps(found["iou"]),
        "thresholds": json.dumps(found["thresholds"]),
        "steps_made": found["steps"],
        "adapter_parameters": counts.adapter,
        "cobot_parameters": counts.cobot,
        "condition_s": condition_numbers(encoder).get("condition_s"),
        **_health(log),
    }


def _health(log: Path) -> dict[str, float | str | None]:
    """Condition numbers by epoch, the worst of them, and the number of spikes, from a run's log."""
    logged = pd.read_csv(log)

    def by_epoch(name: str) -> list[float]:
        return logged[name].dropna().tolist() if name in logged else []

    relation, mixing = by_epoch("condition_s"), by_epoch("condition_w_max")
    return {
        "condition_s_max": max(relation, default=None),
        "condition_w_max": max(mixing, default=None),
        "condition_s_by_epoch": json.dumps(relation) if relation else None,
        "condition_w_by_epoch": json.dumps(mixing) if mixing else None,
        "loss_spikes": float(logged["loss_spikes"].sum()),
    }


def _made(table: Table, trial: Trial, make: Make, trials: Sequence[Trial]) -> bool:
    """Make a run, one of several, and note it; whether that went well."""
    began = time.perf_counter()
    try:
        found = make(trial)
    except Exception as error:  # one run must not end a night of others
        print(f"FAILED {trial.name}: {type(error).__name__}: {error}", flush=True)
        return False
    table.append(trial, found)
    # Not how good it is: nobody looks before all runs are made.
    left = len(missing(table.rows(), trials))
    print(f"{trial.name} in {time.perf_counter() - began:.0f} s, {left} left", flush=True)
    return True
