"""What a pretrained start is worth: arms with and without one on real scenes, and a U-Net.

Usage: python benchmarks/pretrained.py --checkpoint FILE [--scenes vegas_roads ...]
       [--arms pretrained pretrained-full random-adapters random-full unet] [--seeds 0 1 2]
       [--minutes 10 | --seconds 20] [--at-pace] [--unet-rates 3e-4 1e-3 3e-3] [--own-rates ...]
       [--max-views 600] [--threads 2] [--out build/pretrained] [--runs FILE] [--save-maps]

Every arm trains on one part of a scene for the same minutes, and is judged on another part that
neither training nor validation saw. Where an arm has several learning rates to choose from, the
first seed tries all of them, and the best validation IoU decides for the other seeds, scene by
scene; the judged part has no say. The U-Net has three; the others take geocobot's own rate unless
--own-rates gives them a choice as well.

`geocobot train` ends after so many views of its training area, because more would learn it by
heart; all arms, the U-Net's included, end there too: --max-views 0 lets the clock alone decide.
Steps and views are in the table, and the IoU of a map that has every class everywhere, which is
what nothing learned is worth.

With --at-pace a run counts steps in place of minutes: as many as the same arm does in them when it
has both cores of the machine for itself, which shorter runs by the clock have shown. It computes on
one thread, and nothing else that the machine does changes what comes of it.

Every finished run is a line of benchmarks/runs/pretrained.jsonl and is not run again, whatever
machine it was made on; the table at the end is of all runs that were asked for. Their scores are
in `scores/` in the folder, for benchmarks/thresholds.py.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from arms import (
    ARMS,
    UNET,
    Job,
    Run,
    at_pace,
    begin,
    figures,
    finished,
    judge,
    keep_scores,
    runs_of,
    score_part,
    split,
    survey,
    train,
)
from heads import spread
from places import PLACES

from geocobot.config.values import MAX_VIEWS
from geocobot.models.weights import sha256_of

RUNS = Path(__file__).parent / "runs"
"""Figures of all runs; they take hours to make again."""

_FIRST = "pretrained"
_WORTH_NAMING = 0.01  # a difference of mean IoU that counts as won or lost


def main() -> None:
    given = parse()
    runs = list(chosen_runs(given))
    print(table(runs, given.arms))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", nargs="+", default=list(PLACES), choices=list(PLACES))
    add_arms(parser, list(ARMS), minutes=10.0)
    parser.add_argument("--unet-rates", nargs="+", type=float, default=[3e-4, 1e-3, 3e-3])
    parser.add_argument("--own-rates", nargs="+", type=float, default=[None])
    parser.add_argument("--out", type=Path, default=Path("build/pretrained"))
    parser.add_argument("--runs", type=Path, default=RUNS / "pretrained.jsonl")
    parser.add_argument("--save-maps", action="store_true", help="draw image, truth and map")
    return checked(parser)


def add_arms(parser: argparse.ArgumentParser, arms: Sequence[str], *, minutes: float) -> None:
    """Add what every comparison of arms asks for."""
    parser.add_argument("--arms", nargs="+", default=list(arms), choices=list(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=minutes)
    length.add_argument("--seconds", type=float, help="in place of minutes, to try things out")
    parser.add_argument("--at-pace", action="store_true", help="count steps in place of minutes")
    parser.add_argument("--checkpoint", type=Path, help="the pretrained weights of tiny")
    parser.add_argument("--max-views", type=int, default=MAX_VIEWS)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())


def checked(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The arguments, with minutes in any case and a checkpoint where it is needed."""
    given = parser.parse_args()
    needing = [name for name in given.arms if ARMS[name].pretrained]
    if needing and given.checkpoint is None:
        parser.error(f"{', '.join(needing)} need --checkpoint")
    if given.seconds is not None:
        given.minutes = given.seconds / 60
    return given


def chosen_runs(given: argparse.Namespace) -> Iterator[Run]:
    """One run per seed, scene and arm; of the first seed's rates the best in validation."""
    work = run_with_maps if given.save_maps else run
    best: dict[tuple[str, str], float | None] = {}
    # Seeds outermost: an interrupted comparison has all arms of every seed but the last.
    for seed in given.seeds:
        for scene in given.scenes:
            for arm in given.arms:
                rates = given.unet_rates if arm == UNET else given.own_rates
                rates = [best[scene, arm]] if (scene, arm) in best else rates
                jobs = [make_job(given, scene, arm, seed, rate=rate) for rate in rates]
                tried = list(finished(jobs, given.runs, given.out, work))
                found = max(tried, key=lambda r: r["validation_iou"])
                best[scene, arm] = found["rate"]
                yield found


def make_job(
    given: argparse.Namespace,
    scene: str,
    arm: str,
    seed: int,
    *,
    rate: float | None,
    patches: int | None = None,
) -> Job:
    """One run of what the command line asks for; arms without weights do not depend on them."""
    weights: Path | None = given.checkpoint if ARMS[arm].pretrained else None
    job = Job(
        scene=scene,
        arm=arm,
        seed=seed,
        minutes=given.minutes,
        max_views=given.max_views,
        threads=given.threads,
        rate=rate,
        patches=patches,
        checkpoint=None if weights is None else str(weights),
        checkpoint_sha256=None if weights is None else sha256_of(weights),
    )
    return at_pace(job, runs_of(given.runs)) if given.at_pace else job


def run(job: Job, folder: Path) -> Run:
    """Train and judge once."""
    return _measure(job, folder, None)


def run_with_maps(job: Job, folder: Path) -> Run:
    """Train and judge once; draw the map."""
    return _measure(job, folder, folder / "maps" / f"{job.title}.png")


def _measure(job: Job, folder: Path, picture: Path | None) -> Run:
    """Train an arm on one part and judge it on the other."""
    ground, judged, options = survey(job, folder)
    trained = train(job, ground, split(ground, options), options, validated=True)
    compute = begin(job)
    scored = score_part(trained, ground, judged, compute)
    length = f"{job.minutes:g}min_{job.max_views}views"
    keep_scores(trained, scored, judged, folder / "scores" / f"{job.title}_{length}.npz")
    return figures(trained, judge(trained, scored, ground, judged, picture), compute)


def table(runs: Sequence[Run], arms: Sequence[str]) -> str:
    """IoU on the judged parts and how it was come by, as Markdown."""
    scenes = list(dict.fromkeys(run["scene"] for run in runs))
    rows = [["Mean IoU", "everywhere", *arms], ["---"] * (2 + len(arms))]
    for scene in scenes:
        values = [_of(runs, scene, arm, "mean_iou") for arm in arms]
        everywhere = _of(runs, scene, arms[0], "everywhere_iou")[0]
        rows.append([f"`{scene}`", f"{everywhere:.3f}", *map(spread, values)])
    means = [f"{_mean(runs, scenes, arm):.3f}" for arm in arms]
    rows.append([f"mean of {len(scenes)}", "", *means])
    for scene in scenes:
        for name in ("validation_iou", "rate", "steps", "views", "seconds", "peak_gib"):
            values = [_of(runs, scene, arm, name) for arm in arms]
            rows.append([f"`{scene}`, {name}, median", "", *map(_median, values)])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", *differences(runs, scenes, arms)])


def differences(runs: Sequence[Run], scenes: Sequence[str], arms: Sequence[str]) -> list[str]:
    """How much better than each of the others the pretrained arm is, and on how many scenes."""
    if _FIRST not in arms:
        return []
    rows = [
        [f"{_FIRST} minus", "mean", *(f"`{s}`" for s in scenes), "won", "lost"],
        ["---"] * (4 + len(scenes)),
    ]
    for arm in arms:
        if arm != _FIRST:
            gains = [_mean(runs, [s], _FIRST) - _mean(runs, [s], arm) for s in scenes]
            won = sum(gain > _WORTH_NAMING for gain in gains)
            lost = sum(gain < -_WORTH_NAMING for gain in gains)
            shown = [f"{gain:+.3f}" for gain in [statistics.mean(gains), *gains]]
            rows.append([arm, *shown, str(won), str(lost)])
    said = f"Won and lost: scenes whose mean IoU differs by more than {_WORTH_NAMING}."
    return [*(f"| {' | '.join(row)} |" for row in rows), "", said]


def _of(runs: Sequence[Run], scene: str, arm: str, name: str) -> list[float]:
    """A figure of all runs of an arm on a scene; none where it has none."""
    here = [run for run in runs if run["scene"] == scene and run["arm"] == arm]
    return [run[name] for run in here if run[name] is not None]


def _mean(runs: Sequence[Run], scenes: Sequence[str], arm: str) -> float:
    """Mean IoU of an arm, every scene weighing the same."""
    return statistics.mean(statistics.mean(_of(runs, scene, arm, "mean_iou")) for scene in scenes)


def _median(values: Sequence[float]) -> str:
    """The median, or a dash where there is nothing."""
    return f"{statistics.median(values):.4g}" if values else "-"


if __name__ == "__main__":
    main()
