from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from geocobot.bands import BandRange
from geocobot.data.dataset import Sample, SceneDataset
from geocobot.data.loader import make_loader, workers_in_words
from geocobot.data.samplers import TileSampler
from geocobot.errors import UnreadableFileError, WorkerError
from geocobot.io.scene import Scene

RANGES = tuple(BandRange(i, f"band {i}", "uint8", 0.0, 255.0) for i in (1, 2, 3))


@pytest.fixture
def load(scene_factory: Callable[..., Path]) -> Callable[..., tuple[Path, DataLoader[Sample]]]:
    """Eight tiles of a scene in batches of two, top to bottom, its rows stored one by one."""

    def make(**options: Any) -> tuple[Path, DataLoader[Sample]]:
        path = scene_factory(shape_hw=(512, 64), blockysize=1)
        dataset = SceneDataset(Scene.open(path), RANGES)
        sampler = TileSampler(dataset, size_px=64)
        return path, make_loader(dataset, sampler, batch_size=2, **options)

    return make


def cut_in_half(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_come_in_order(load: Any, workers: int) -> None:
    _, loader = load(workers=workers)
    rows = [row for batch in loader for _, row, _, _ in batch["window"].tolist()]
    assert rows == list(range(0, 512, 64))
    assert len(loader) == 4


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_breaks_off_is_told_of_in_four_parts(load: Any, workers: int) -> None:
    path, loader = load(workers=workers)
    cut_in_half(path)
    batches = iter(loader)
    assert next(batches)["image"].shape == (2, 3, 64, 64)
    with pytest.raises(UnreadableFileError, match=r"scene\.tif cannot be read at rows") as caught:
        list(batches)
    assert caught.value.subject == str(path)
    assert caught.value.remedy == (
        "The file is probably truncated or corrupt: copy or download it again"
    )


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bug_stays_what_it_is(load: Any, workers: int) -> None:
    _, loader = load(workers=workers)
    loader.dataset.dataset.ranges = ()
    with pytest.raises(ValueError, match="could not be broadcast"):
        list(loader)


class Ending:
    """Ends the process that unpickles it."""

    def __init__(self, end: Callable[[int], Any], told: int) -> None:
        self.how = end, (told,)

    def __reduce__(self) -> Any:
        return self.how


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        (
            Ending(signal.raise_signal, signal.SIGKILL),
            "read patches has ended before its time.*--resume and fewer --workers",
        ),
        (
            Ending(os._exit, 1),
            r'has ended before it began \(exit code 1\).*below if __name__ == "__main__"',
        ),
    ],
)
def test_a_worker_that_ends_is_told_of_in_four_parts(load: Any, ending: Ending, said: str) -> None:
    _, loader = load(workers=1)
    loader.dataset.dataset = ending
    with pytest.raises(WorkerError, match=said), workers_in_words():
        list(loader)


def test_other_errors_of_torch_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="no worker"), workers_in_words():
        raise RuntimeError("This is no worker's.")


def test_workers_start_before_the_first_batch_is_asked_for(load: Any) -> None:
    _, loader = load(workers=1)
    iter(loader)
    assert loader._iterator is not None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU to pin memory for")
def test_batches_can_come_pinned(load: Any) -> None:
    _, loader = load(workers=0, pin_memory=True)
    assert next(iter(loader))["image"].is_pinned()
