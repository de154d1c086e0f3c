"""Train both heads on one part of real scenes, several seeds each, and judge the unseen part.

Usage: python benchmarks/heads.py [--scenes vegas_roads vegas_multiclass kampala_buildings]
       [--heads mask-decoder dense] [--seeds 0 1 2] [--minutes 10 | --epochs 40]
       [--out build/heads] [--train-flags ...]

Minutes are what a user waits for; epochs give both heads the same steps, whatever else the machine
is doing. Every finished run is a line of `runs.jsonl` in the folder and is not run again; the
table at the end is of all lines that were asked for.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from real_scenes import CASES, DATA, judge, parts, timed

Run = dict[str, Any]

_UNLIMITED_MINUTES = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--heads", nargs="+", default=["mask-decoder", "dense"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=10.0)
    length.add_argument("--epochs", type=int)
    parser.add_argument("--out", type=Path, default=Path("build/heads"))
    parser.add_argument("--train-flags", nargs=argparse.REMAINDER, default=[])
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    extent = ["--max-minutes", str(given.minutes)]
    if given.epochs is not None:
        extent = ["--epochs", str(given.epochs), "--max-minutes", str(_UNLIMITED_MINUTES)]
    flags = [*extent, *given.train_flags]
    # Seeds outermost: an interrupted comparison has both heads of every seed but the last.
    wanted = [
        {"scene": scene, "head": head, "seed": seed, "flags": flags}
        for seed in given.seeds
        for scene in given.scenes
        for head in given.heads
    ]
    print(table(list(finished(wanted, given.out)), given.heads))


def finished(wanted: Sequence[Run], folder: Path) -> Iterator[Run]:
    """What was asked for, with its figures: read from the folder, or run and added to it."""
    path = folder / "runs.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    known = [json.loads(line) for line in lines]
    for run in wanted:
        done = next((k for k in known if {n: k[n] for n in run} == run), None)
        if done is None:
            done = run | measure(run, folder)
            with path.open("a") as file:
                file.write(json.dumps(done) + "\n")
        yield done


def measure(run: Run, folder: Path) -> Run:
    """Train and judge once."""
    case = CASES[run["scene"]]
    place = folder / run["scene"]
    place.mkdir(exist_ok=True)
    train_on, judged = parts(case, place)
    model = place / f"{run['head']}_{run['seed']}"
    labels = DATA / case.labels
    timed(
        "train", "--raster", train_on, "--labels", labels, "-o", model, "-f", "-q",
        "--head", run["head"], "--seed", run["seed"], *run["flags"], *case.flags,
    )  # fmt: skip
    timed(
        "predict", "--raster", judged, "--model", model / "model.safetensors", "-f", "-q",
        "-o", model / "map.gpkg", "--save-classes",
    )  # fmt: skip
    field = case.flags[1] if case.flags else None
    scores = judge(model / "map_classes.tif", judged, labels, field)
    training = json.loads((model / "metrics.json").read_text())["training"]
    return {
        "iou": {name: value for name, value in scores.items() if not name.endswith(" F1")},
        "validation_iou": training["mean_iou"],
        "steps": training["steps"],
        # Validation after every epoch included.
        "ms_per_step": 1000 * training["seconds"] / training["steps"],
    }


def table(runs: Sequence[Run], heads: Sequence[str]) -> str:
    """IoU on the unseen parts, mean and standard deviation over the seeds, as Markdown."""
    rows = [["Scene, class", *heads, f"{heads[-1]} - {heads[0]}, by seed"]]
    rows.append(["---"] * len(rows[0]))
    for scene in dict.fromkeys(run["scene"] for run in runs):
        here = [run for run in runs if run["scene"] == scene]
        names = [*here[0]["iou"], "mean"] if len(here[0]["iou"]) > 1 else list(here[0]["iou"])
        for name in names:
            by_head = [[_iou(run, name) for run in here if run["head"] == head] for head in heads]
            gains = [b - a for a, b in zip(by_head[0], by_head[-1], strict=True)]
            shown = ", ".join(f"{gain:+.3f}" for gain in gains)
            rows.append([f"`{scene}`, {name}", *map(spread, by_head), shown])
        for figure in ("steps", "ms_per_step"):
            by_head = [[run[figure] for run in here if run["head"] == head] for head in heads]
            medians = [f"{statistics.median(values):.0f}" for values in by_head]
            rows.append([f"`{scene}`, {figure}", *medians, ""])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def spread(values: Sequence[float]) -> str:
    """Mean and, of several values, the standard deviation."""
    mean = f"{statistics.mean(values):.3f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.3f}"


def _iou(run: Run, name: str) -> float:
    """IoU of a class, or the mean over all of them."""
    return statistics.mean(run["iou"].values()) if name == "mean" else run["iou"][name]


if __name__ == "__main__":
    main()
