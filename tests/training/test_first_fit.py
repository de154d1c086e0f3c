"""Readers that start at a regression."""

from __future__ import annotations

import csv
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningDataModule
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader

from geocobot.adapters.config import AdapterConfig
from geocobot.classes import IGNORE
from geocobot.data.dataset import INTERIOR
from geocobot.models.architecture import SegmenterConfig
from geocobot.models.bases import BaseSpec
from geocobot.models.encoder import SamEncoder
from geocobot.models.heads import head_config, make_head
from geocobot.models.precision import Compute
from geocobot.models.segmenter import Segmenter
from geocobot.progress import SilentProgress, SilentTask, Task
from geocobot.training import fit as fit_module
from geocobot.training.first_fit import can_fit_first, fit_readers
from geocobot.training.fit import FitSettings, fit
from geocobot.training.groups import GroupSettings

from .squares import EpochSampler, SquaresModule

SIDE = 32
SMALL = BaseSpec(
    name="small",
    width=24,
    depth=2,
    heads=2,
    global_blocks=(1,),
    window_tokens=2,
    image_px=SIDE,
    out_channels=32,
    conv_stem=True,
)
CPU = Compute(torch.device("cpu"))


class Halves(torch.utils.data.Dataset):
    """A bright class on the left, a dark one on the right, a gray one between; a rim unlabelled."""

    def __getitem__(self, key: tuple[int, int, int]) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(sum(key))
        first, second = torch.randint(8, SIDE - 8, (2,), generator=generator).sort().values.tolist()
        label = torch.full((SIDE, SIDE), 2)
        label[:, :first], label[:, second:] = 1, 3
        image = 0.9 - 0.2 * label.float() + 0.05 * torch.randn(3, SIDE, SIDE, generator=generator)
        label[:2] = IGNORE
        valid = torch.ones(SIDE, SIDE, dtype=torch.bool)
        valid[-2:] = False
        return {"image": image, "label": label, "valid": valid}


class HalvesModule(LightningDataModule):
    def train_dataloader(self) -> DataLoader[dict[str, torch.Tensor]]:
        return DataLoader(Halves(), batch_size=4, sampler=EpochSampler(32))  # type: ignore[arg-type]

    val_dataloader = train_dataloader


class Unlabelled(HalvesModule):
    def train_dataloader(self) -> DataLoader[dict[str, torch.Tensor]]:
        samples = [dict(Halves()[0, 0, k], label=torch.full((SIDE, SIDE), IGNORE)) for k in (0, 1)]
        return DataLoader(samples)  # type: ignore[arg-type]


def pretrained(
    n_classes: int = 3, base_sha256: str | None = "f" * 64, *, separate: bool = False
) -> Segmenter:
    """A segmenter that says it was pretrained; a random network sees enough of this."""
    torch.manual_seed(0)
    head = head_config(SMALL, n_classes, "dense", "pretrained", separate=separate)
    config = SegmenterConfig("small", base_sha256, AdapterConfig(method="none"), head, False)
    return Segmenter(SamEncoder(SMALL), make_head(head), config)


@pytest.fixture(scope="module")
def fitted() -> Segmenter:
    segmenter = pretrained()
    fit_readers(segmenter, HalvesModule(), CPU, seed=0)
    return segmenter


def test_fresh_patches_are_mapped_right_away(fitted: Segmenter) -> None:
    sample = Halves()[9, 9, 9]
    with torch.no_grad():
        logits = fitted(sample["image"].unsqueeze(0))[0]
    known = (sample["label"] != IGNORE) & sample["valid"]
    right = (logits.argmax(0) + 1 == sample["label"])[known].float().mean().item()
    assert right > 0.95
    # Probabilities, and not only an order.
    score = logits.sigmoid().amax(0)[known].mean().item()
    assert score == pytest.approx(right, abs=0.1)


def test_nothing_but_the_readers_changes(fitted: Segmenter) -> None:
    before = pretrained().state_dict()
    changed = {n for n, t in fitted.state_dict().items() if not torch.equal(t, before[n])}
    readers = {n for n in before if n.startswith("head.readers.")}
    assert changed == readers
    assert not fitted.head.readers[0].weight.grad  # type: ignore[index, union-attr]


def test_batches_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """One is there while it is looked at, and the one that is read after it."""
    alive: weakref.WeakSet[torch.Tensor] = weakref.WeakSet()
    most: list[int] = []

    class Watched(HalvesModule):
        def transfer_batch_to_device(self, batch: Any, device: torch.device, _: int) -> Any:
            alive.add(batch["image"])
            most.append(len(alive))
            return batch

    module = Watched()
    fit_readers(pretrained(), module, Compute(torch.device("cpu")), seed=0)
    assert len(most) == len(module.train_dataloader()) == 8
    assert max(most) <= 2


def test_no_step_along_the_readers_weights_helps(fitted: Segmenter) -> None:
    batch = next(iter(HalvesModule().train_dataloader()))
    known = ((batch["label"] != IGNORE) & batch["valid"]).unsqueeze(1).expand(-1, 3, -1, -1)
    targets = torch.stack([batch["label"] == k for k in (1, 2, 3)], dim=1).float()

    def error() -> float:
        with torch.no_grad():
            logits = fitted(batch["image"])
        return binary_cross_entropy_with_logits(logits[known], targets[known]).item()

    best = error()
    worse = 0
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        state = {n: t.clone() for n, t in fitted.head.state_dict().items()}
        moved = {
            n: t * (1 + 0.5 * torch.randn(t.shape, generator=generator))
            for n, t in state.items()
            if n.startswith("readers.") and n.endswith("weight")
        }
        fitted.head.load_state_dict(state | moved)
        worse += error() > best
        fitted.head.load_state_dict(state)
    assert worse == 10


class InsidesModule(HalvesModule):
    """The inside of the third class is the inside of an object."""

    def on_after_batch_transfer(
        self, batch: dict[str, torch.Tensor], dataloader_idx: int
    ) -> dict[str, torch.Tensor]:
        return batch | {INTERIOR: batch["label"] == 3}


def test_insides_have_a_reader_of_their_own(fitted: Segmenter) -> None:
    segmenter = pretrained(separate=True)
    fit_readers(segmenter, InsidesModule(), CPU, seed=0)
    image = Halves()[9, 9, 9]["image"].unsqueeze(0)
    with torch.no_grad():
        planes, classes = segmenter(image)[0], fitted(image)[0]
    assert len(planes) == 4
    assert torch.allclose(planes[3].sigmoid(), planes[2].sigmoid(), atol=0.01)
    assert (planes[:3].sigmoid() - classes.sigmoid()).abs().mean() < 0.02


def test_the_seed_decides() -> None:
    first, again, other = pretrained(), pretrained(), pretrained()
    for segmenter, seed in ((first, 1), (again, 1), (other, 2)):
        fit_readers(segmenter, HalvesModule(), CPU, seed=seed)
    one, same, another = (s.head.readers[-1].weight for s in (first, again, other))  # type: ignore[index, union-attr]
    assert torch.equal(one, same)
    assert not torch.equal(one, another)


def test_without_labels_everything_stays() -> None:
    segmenter = pretrained()
    before = {n: t.clone() for n, t in segmenter.state_dict().items()}
    fit_readers(segmenter, Unlabelled(), CPU, seed=0)
    assert all(torch.equal(t, before[n]) for n, t in segmenter.state_dict().items())


def test_it_is_for_pretrained_dense_heads() -> None:
    assert can_fit_first(pretrained())
    assert not can_fit_first(pretrained(base_sha256=None))
    assert not can_fit_first(torch.nn.Conv2d(3, 1, 1))
    other = pretrained()
    other.head = make_head(head_config(SMALL, 3, "mask-decoder", "pretrained"))
    assert not can_fit_first(other)


class Heard(SilentProgress):
    """Remembers how much of which task was done, in their order."""

    def __init__(self) -> None:
        self.done: dict[str, float] = {}

    @contextmanager
    def task(self, label: str, total: float) -> Iterator[Task]:
        self.done[label] = 0.0
        yield HeardTask(self, label)
        assert self.done[label] == pytest.approx(total)


class HeardTask(SilentTask):
    """One of them."""

    def __init__(self, heard: Heard, label: str) -> None:
        self.heard, self.label = heard, label

    def advance(self, steps: float = 1) -> None:
        self.heard.done[self.label] += steps


def test_it_is_shown_apart_from_the_training_whose_time_left_it_would_spoil(tmp_path: Path) -> None:
    heard = Heard()
    fit(pretrained(), HalvesModule(), FitSettings(n_classes=3, epochs=1), tmp_path, heard)
    assert list(heard.done) == ["First fit", "Training"]
    heard.done.clear()
    settings = FitSettings(n_classes=3, epochs=2, resume=True)
    fit(pretrained(), HalvesModule(), settings, tmp_path, heard)
    assert list(heard.done) == ["Training"]


@pytest.mark.parametrize("is_first", [True, False])
def test_training_begins_with_it(is_first: bool, tmp_path: Path) -> None:
    settings = FitSettings(n_classes=3, epochs=1, readers_first=is_first)
    result = fit(pretrained(), HalvesModule(), settings, tmp_path)
    assert (result.mean_iou > 0.8) == is_first


def test_the_schedule_begins_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers that take eight of ten minutes leave two for all of the schedule."""
    spent: list[float] = []
    monotonic = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + sum(spent))
    monkeypatch.setattr(fit_module, "fit_readers", lambda *_, **__: spent.append(480.0))
    settings = FitSettings(
        n_classes=3,
        epochs=4,
        max_minutes=10.0,
        warmup=0.5,
        groups=GroupSettings(learning_rate=1e-3),
    )
    result = fit(pretrained(), HalvesModule(), settings, tmp_path)
    assert result.seconds > 480.0
    assert learning_rates(result.log)[0] == pytest.approx(1e-3 * 2 / 64, rel=0.5)
    spent.clear()
    resumed = fit(pretrained(), HalvesModule(), replace(settings, epochs=8, resume=True), tmp_path)
    assert resumed.seconds > 480.0
    assert learning_rates(resumed.log)[33] == pytest.approx(1e-3, rel=0.01)


def learning_rates(log: Path) -> list[float]:
    """The rate of every step."""
    with log.open(newline="") as file:
        return [float(r["learning_rate"]) for r in csv.DictReader(file) if r["learning_rate"]]


def test_what_cannot_be_fitted_is_trained_as_ever(tmp_path: Path) -> None:
    segmenter = pretrained(1, base_sha256=None)
    assert fit(segmenter, SquaresModule(2), FitSettings(n_classes=1, epochs=1), tmp_path).steps == 2
