"""What a step of pretraining costs, and how much of it is drawing the made-up world.

Usage: python benchmarks/pretrain_step.py [--device auto] [--worlds 8 64] [--crop-size 128 256]
       [--images 0] [--boxes 0] [--steps 30]

Whole steps by `pretrain_parts` itself: a run of twice as many steps minus one of as many, so that
what happens once does not count. Drawing is timed by itself, with nothing else to wait for; its
share is what it would be if nothing ran at the same time.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from geocobot.models.bases import find_base
from geocobot.models.precision import Compute
from geocobot.synthetic.world.world import draw_world
from geocobot.training.pretrain.fit import PretrainSettings, pretrain_parts
from geocobot.training.pretrain.images import ImageBank
from geocobot.training.pretrain.module import PretrainObjectives
from geocobot.workflows.device import choose_compute, device_name

_DRAWS = 9
_WINDOWS, _WINDOW_PX = 12, 700


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--worlds", nargs="+", type=int, default=[8, 64])
    parser.add_argument("--crop-size", nargs="+", type=int, default=[128, 256])
    parser.add_argument("--images", type=int, default=0)
    parser.add_argument("--boxes", type=int, default=0)
    parser.add_argument("--steps", type=int, default=30)
    given = parser.parse_args()
    compute = choose_compute(given.device, "auto")
    print(f"{device_name(compute.device)}, {compute.precision}, torch {torch.__version__}\n")
    print("| Worlds | Side, px | Draw, ms | Step, ms | Worlds/s | Share of drawing |")
    print("| --- | --- | --- | --- | --- | --- |")
    for side_px in given.crop_size:
        for worlds in given.worlds:
            draw_s = time_draw(worlds, side_px, compute.device)
            objectives = PretrainObjectives(
                worlds=worlds,
                images=given.images,
                sides_px=(side_px,),
                boxes=given.boxes,
                boxes_weight=0.5,
                pixels_weight=0.3,
                agreement_weight=0.5,
                hidden_share=0.5,
                hidden_px=16,
                agreement_after=0.0,
            )
            step_s = time_step(objectives, compute, given.steps)
            print(
                f"| {worlds} | {side_px} | {1e3 * draw_s:.1f} | {1e3 * step_s:.1f} "
                f"| {worlds / step_s:.0f} | {draw_s / step_s:.0%} |",
                flush=True,
            )


def time_draw(worlds: int, side_px: int, device: torch.device) -> float:
    """Median seconds of a draw, waited for."""
    generator = torch.Generator().manual_seed(0)
    seconds = []
    for _ in range(_DRAWS):
        started = time.perf_counter()
        draw_world(generator, worlds, side_px, device)
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def time_step(objectives: PretrainObjectives, compute: Compute, steps: int) -> float:
    """Seconds of a step, a run's beginning and end taken out."""
    once, twice = (_run(objectives, compute, n) for n in (steps, 2 * steps))
    return (twice - once) / steps


def _run(objectives: PretrainObjectives, compute: Compute, steps: int) -> float:
    """Seconds of a run; one checkpoint, at its end."""
    generator = torch.Generator().manual_seed(0)
    shape = (3, _WINDOW_PX, _WINDOW_PX)
    windows = [
        torch.randint(256, shape, generator=generator, dtype=torch.uint8) for _ in range(_WINDOWS)
    ]
    settings = PretrainSettings(
        steps=steps,
        objectives=objectives,
        learning_rate=1e-3,
        encoder_rate=4e-4,
        weight_decay=0.05,
        checkpoint_every=steps,
        compute=compute,
    )
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        pretrain_parts(find_base("tiny"), ImageBank(windows), settings, Path(folder))
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
