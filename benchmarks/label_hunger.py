"""How many labels it takes: IoU on an unseen part after training on a few labelled patches.

Usage: python benchmarks/label_hunger.py --checkpoint FILE [--scenes kampala_gardens vegas_roads]
       [--patches 1 2 4 8 16] [--arms pretrained random-full unet] [--seeds 0 1 2]
       [--minutes 3 | --seconds 20] [--unet-rate 1e-3] [--max-views 600] [--threads 2]
       [--out build/label_hunger] [--runs FILE]

Labelled are so many patches of 256 px of the part to train on, drawn by the seed from those with
some foreground; the patches of a smaller number are among those of a larger one. Training sees
nothing else, apart from the range of the scene's values. All arms see the same patches, in crops
of half their side: a whole patch would always be in the same frame, and be learned by its place in
it.

A patch or two cannot be split into training and validation without spending labels that are the
point of the comparison, and a threshold tuned on a corner of a patch is an accident. So nothing is
held out: all arms train on all of their patches through the whole schedule, keep the averaged
weights of the last epoch, and map with thresholds of 0.5. They end after --max-views of their
area at the latest, as in `geocobot train`. With nothing to choose a learning rate by, the U-Net
takes the one given: take what benchmarks/pretrained.py has chosen.

Every finished run is a line of benchmarks/runs/label_hunger.jsonl and is not run again. The table
and `label_hunger.svg` in the folder show all runs that were asked for, and what a map is worth that
has every class everywhere.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
from arms import UNET, Job, Run, begin, figures, finished, judge, score_part, survey, train
from heads import spread
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from places import ROOMY_PLACES
from pretrained import RUNS, add_arms, checked, make_job
from rasterio.windows import Window

from geocobot.classes import BACKGROUND, IGNORE
from geocobot.data.split import Split
from geocobot.workflows.ground import Ground

_PATCH_PX = 256
_CROP_PX = _PATCH_PX // 2
_LEAST_FOREGROUND = 0.02  # share of a patch; a user would not label one without

# Colors that stay apart for color-blind readers (after Okabe and Ito, 2008), and a marker each.
_LOOK = {
    "pretrained": ("#0072b2", "o"),
    "pretrained-full": ("#56b4e9", "D"),
    "random-adapters": ("#cc79a7", "v"),
    "random-full": ("#d55e00", "s"),
    UNET: ("#009e73", "^"),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--scenes", nargs="+", default=["kampala_gardens"], choices=list(ROOMY_PLACES)
    )
    parser.add_argument("--patches", nargs="+", type=int, default=[1, 2, 4, 8, 16])
    add_arms(parser, ["pretrained", "random-full", UNET], minutes=3.0)
    parser.add_argument("--unet-rate", type=float, default=1e-3)
    parser.add_argument("--out", type=Path, default=Path("build/label_hunger"))
    parser.add_argument("--runs", type=Path, default=RUNS / "label_hunger.jsonl")
    given = checked(parser)
    # Seeds outermost: an interrupted comparison has all arms of every seed but the last.
    jobs = [
        make_job(
            given,
            scene,
            arm,
            seed,
            rate=given.unet_rate if arm == UNET else None,
            patches=patches,
        )
        for seed in given.seeds
        for scene in given.scenes
        for patches in given.patches
        for arm in given.arms
    ]
    runs = list(finished(jobs, given.runs, given.out, run))
    print(table(runs, given.arms))
    plot(runs, given.arms, given.out / "label_hunger.svg")


def run(job: Job, folder: Path) -> Run:
    """Train on a few patches and judge the unseen part once."""
    assert job.patches is not None
    ground, judged, options = survey(job, folder)
    chosen = choose_patches(ground, job.seed)[: job.patches]
    if len(chosen) < job.patches:
        raise SystemExit(
            f"{job.scene} has {len(chosen)} patches of {_PATCH_PX} px with enough foreground, "
            f"and {job.patches} are asked for: pass fewer --patches"
        )
    # The trainer wants a block to validate after every epoch; what it finds there is not used.
    splits = [Split(train=chosen, val=chosen[:1], patch_px=_PATCH_PX, gap_px=0)]
    options = replace(options, crop_size=_CROP_PX)
    trained = train(job, ground, splits, options, validated=False)
    compute = begin(job)
    scored = score_part(trained, ground, judged, compute)
    return figures(trained, judge(trained, scored, ground, judged, None), compute)


def choose_patches(ground: Ground, seed: int, side_px: int = _PATCH_PX) -> tuple[Window, ...]:
    """Patches with some foreground, in an order that the seed decides; none overlap."""
    (scene,), (labels,) = ground.scenes, ground.rasters
    height, width = scene.grid.shape
    rows = range(height % side_px // 2, height - side_px + 1, side_px)
    cols = range(width % side_px // 2, width - side_px + 1, side_px)
    windows = [Window(col, row, side_px, side_px) for row in rows for col in cols]
    shares = [
        float((~np.isin(labels.read(window).classes, (BACKGROUND, IGNORE))).mean())
        for window in windows
    ]
    worth = [w for w, share in zip(windows, shares, strict=True) if share >= _LEAST_FOREGROUND]
    order = np.random.default_rng(seed).permutation(len(worth))
    return tuple(worth[k] for k in order)


def table(runs: Sequence[Run], arms: Sequence[str]) -> str:
    """IoU on the judged part by labelled patches, mean and deviation over the seeds."""
    steps = [f"steps, {arm}" for arm in arms]
    rows = [["Scene", "Labelled patches", "everywhere", *arms, *steps]]
    rows.append(["---"] * len(rows[0]))
    for scene, patches in dict.fromkeys((run["scene"], run["patches"]) for run in runs):
        by_arm = [_runs_of(runs, scene, arm, patches) for arm in arms]
        ious = [spread([run["mean_iou"] for run in here]) for here in by_arm]
        medians = [f"{statistics.median(run['steps'] for run in here):.0f}" for here in by_arm]
        everywhere = f"{by_arm[0][0]['everywhere_iou']:.3f}"
        rows.append([f"`{scene}`", str(patches), everywhere, *ious, *medians])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def plot(runs: Sequence[Run], arms: Sequence[str], path: Path) -> None:
    """Draw IoU over labelled patches, a panel per scene; the band is from worst to best seed."""
    scenes = list(dict.fromkeys(run["scene"] for run in runs))
    # Text stays text, and the same runs make the same file.
    style = {"svg.fonttype": "none", "svg.hashsalt": "label_hunger", "font.size": 11}
    with mpl.rc_context(style):
        figure, panels = plt.subplots(
            1, len(scenes), figsize=(1.5 + 4.5 * len(scenes), 4), squeeze=False, sharey=True
        )
        for axes, scene in zip(panels[0], scenes, strict=True):
            _draw_panel(axes, runs, arms, scene)
            axes.set_title(scene.replace("_", " "), loc="left")
        panels[0][0].set_ylabel("IoU on the unseen part")
        panels[0][0].legend(frameon=False, loc="best")
        figure.tight_layout()
        figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _draw_panel(axes: Axes, runs: Sequence[Run], arms: Sequence[str], scene: str) -> None:
    """Draw one scene."""
    counts = sorted({run["patches"] for run in runs})
    for arm in arms:
        color, marker = _LOOK[arm]
        ious = [[r["mean_iou"] for r in _runs_of(runs, scene, arm, n)] for n in counts]
        axes.fill_between(
            counts, [min(v) for v in ious], [max(v) for v in ious], color=color, alpha=0.15, lw=0
        )
        means = [statistics.mean(v) for v in ious]
        axes.plot(counts, means, color=color, marker=marker, lw=2, label=arm)
    everywhere = next(run["everywhere_iou"] for run in runs if run["scene"] == scene)
    axes.axhline(everywhere, color="#777777", lw=1, ls=":", label="class everywhere")
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(n) for n in counts])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"labelled patches of {_PATCH_PX} px")
    axes.grid(axis="y", color="#dddddd", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _runs_of(runs: Sequence[Run], scene: str, arm: str, patches: int) -> list[Run]:
    """The runs of all seeds."""
    asked = (scene, arm, patches)
    return [run for run in runs if (run["scene"], run["arm"], run["patches"]) == asked]


if __name__ == "__main__":
    main()
