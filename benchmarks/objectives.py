"""What pretraining should ask: recipes that differ in their objectives, for the same minutes each.

Usage: python benchmarks/objectives.py [--config configs/tiny-pretrain-cpu.yaml] [--minutes 20]
       [--recipes world world+boxes ...] [--scenes vegas_roads ...] [--seeds 0 1 2]
       [--seconds 100] [--threads 2] [--out build/objectives]

Every recipe begins at random and learns for the same minutes on the same machine, from the same
made-up world and from the same images, which are the training parts of the scenes: never a pixel
of what is judged. On a GPU take --config configs/tiny-pretrain.yaml. What came of each is judged
by short trainings of adapters and head, as in benchmarks/pretrained.py, because a regression on
frozen features is a poor judge between bases. Steps differ where a recipe asks more; they are in
the table.

Everything that is finished is kept in the folder and is not done again.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from arms import Job, Run, finished
from heads import spread
from places import PLACES, cut_part
from pretrained import run

from geocobot.config import PretrainOptions
from geocobot.config.values import MAX_VIEWS
from geocobot.models.provenance import read_provenance
from geocobot.models.weights import sha256_of
from geocobot.settings import make_options
from geocobot.workflows.pretrain import pretrain
from geocobot.yaml_file import read_yaml

RECIPES: Mapping[str, Mapping[str, Any]] = {
    "world": {"images": 0, "boxes": 0},
    "world+boxes": {"images": 0},
    "hidden pixels": {"worlds": 0, "boxes": 0, "pixels_weight": 1.0, "agreement_weight": 0.0},
    "world+boxes+hidden pixels": {"agreement_weight": 0.0},
    "world+boxes+agreement": {"pixels_weight": 0.0, "agreement_weight": 0.5},
    "all": {"agreement_weight": 0.5},
}
"""What differs from the configuration; what a recipe does not name is as it is there."""

_ENDLESS_STEPS = 10**6  # the clock ends them


def main() -> None:
    given = parse()
    weights = {name: pretrained(name, given) for name in given.recipes}
    jobs = [
        Job(
            scene=scene,
            arm="pretrained",
            seed=seed,
            minutes=given.seconds / 60,
            max_views=MAX_VIEWS,
            threads=given.threads,
            checkpoint=str(path),
            checkpoint_sha256=sha256_of(path),
        )
        for seed in given.seeds
        for scene in given.scenes
        for path in weights.values()
    ]
    print(
        table(list(finished(jobs, given.out / "runs.jsonl", given.out, run)), weights, given.scenes)
    )


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=Path("configs/tiny-pretrain-cpu.yaml"))
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--scenes", nargs="+", default=list(PLACES), choices=list(PLACES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--seconds", type=float, default=100.0, help="of training per scene")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=Path("build/objectives"))
    return parser.parse_args()


def pretrained(name: str, given: argparse.Namespace) -> Path:
    """The weights of a recipe: found in the folder, or made."""
    folder = given.out / name.replace(" ", "_")
    path = folder / "tiny.safetensors"
    if path.is_file():
        return path
    torch.set_num_threads(given.threads)
    images = [str(cut_part(place.train, given.out / "parts")) for place in PLACES.values()]
    options = make_options(PretrainOptions, read_yaml(given.config), str(given.config))
    options = replace(
        options,
        **RECIPES[name],
        out=str(folder),
        raster=tuple(images),
        steps=_ENDLESS_STEPS,
        max_minutes=given.minutes,
    )
    print(pretrain(options).summary(), flush=True)
    return path


def table(runs: list[Run], weights: Mapping[str, Path], scenes: list[str]) -> str:
    """IoU on the judged parts by recipe, mean and deviation over the seeds, as Markdown."""
    rows = [["Recipe", "steps", *(f"`{s}`" for s in scenes), "mean"], ["---"] * (3 + len(scenes))]
    for name, path in weights.items():
        sha256 = sha256_of(path)
        own = [run for run in runs if run["checkpoint_sha256"] == sha256]
        ious = [[run["mean_iou"] for run in own if run["scene"] == scene] for scene in scenes]
        mean = statistics.mean(statistics.mean(values) for values in ious)
        steps = f"{read_provenance(path).steps:,}"
        rows.append([name, steps, *map(spread, ious), f"{mean:.3f}"])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main()
