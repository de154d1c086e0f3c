"""A batch on every core of a CPU against all cores on one batch: tiles a second.

Claim: a batch on every core is no slower on a quiet machine, and does not collapse where something
else takes a part of a core: then all cores on one batch wait for the one that is held up, after
every operation.

Usage: python benchmarks/lanes.py [--rounds 5] [--model MODEL]

The model is `tiny` with an untrained dense head, or MODEL of a training run; batches of 4 tiles of
256 px from memory. "Busy" is a thread that packs bytes for a fifth of the time, as writing a map
does, and a process that never stops. Sides and rounds alternate; medians, in one process.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch

from geocobot.inference.lanes import Lanes
from geocobot.inference.predictor import PredictorSource
from geocobot.models.precision import Compute
from geocobot.models.segmenter import build_segmenter
from geocobot.workflows.device import choose_compute

TILES, SIDE_PX = 4, 256
BATCHES_PER_CORE = 8
SHARE = 0.2


def main() -> None:
    """Print a table of tiles a second and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model")
    given = parser.parse_args()
    compute = choose_compute("cpu", "auto")
    model: Any = PredictorSource(given.model).load() if given.model else build_segmenter("tiny", 1)
    show = shower(model.eval(), compute)
    threads = torch.get_num_threads()
    lanes = Lanes(compute, threads)
    n = BATCHES_PER_CORE * threads
    sides = {"each": lambda: drain(lanes, show, n), "all": lambda: together(show, n, threads)}
    print(f"{threads} cores, {compute.precision}, tiles a second")
    print("| | A batch on every core | All cores on a batch | Ratio |")
    print("| --- | --- | --- | --- |")
    for name, beside in (("quiet", nullcontext), ("busy thread", packing), ("process", spinning)):
        rates: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(given.rounds):
            for side, work in sides.items():
                with beside():
                    rates[side].append(TILES * n / timed(work))
        each, of_all = (statistics.median(rates[side]) for side in ("each", "all"))
        print(f"| {name} | {each:.1f} | {of_all:.1f} | {each / of_all:.2f} x |")


def shower(model: torch.nn.Module, compute: Compute) -> Callable[[int], None]:
    """Shows the model a batch."""
    batch = torch.rand(TILES, 3, SIDE_PX, SIDE_PX)

    def show(_: int) -> None:
        with torch.inference_mode(), compute.autocast():
            model(batch)

    return show


def drain(lanes: Lanes, show: Callable[[int], None], n: int) -> None:
    """Show so many batches, each on a core."""
    for _ in lanes.each(range(n), show):
        pass


def together(show: Callable[[int], None], n: int, threads: int) -> None:
    """Show so many batches, each on all cores."""
    torch.set_num_threads(threads)
    for k in range(n):
        show(k)


def timed(work: Callable[[], None]) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@contextmanager
def packing() -> Iterator[None]:
    """A thread that packs bytes for a part of the time."""
    stop = threading.Event()
    content = np.random.default_rng(0).integers(0, 255, 1_000_000, dtype=np.uint8).tobytes()

    def pack() -> None:
        while not stop.is_set():
            taken = timed(lambda: zlib.compress(content, 1))
            time.sleep(taken * (1 / SHARE - 1))

    thread = threading.Thread(target=pack)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def spinning() -> Iterator[None]:
    """A process that never stops."""
    process = multiprocessing.get_context("spawn").Process(target=spin, daemon=True)
    process.start()
    time.sleep(1)
    try:
        yield
    finally:
        process.kill()
        process.join()


def spin() -> None:
    """Count without end."""
    k = 0
    while True:
        k += 1


if __name__ == "__main__":
    main()
