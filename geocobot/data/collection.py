"""Several scenes in one run, each in its own CRS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from rasterio.windows import Window
from torch.utils.data import Dataset, Sampler

from geocobot.classes import IGNORE
from geocobot.data.augmentation import DICE
from geocobot.data.dataset import GeoSlices, Sample, SceneDataset
from geocobot.data.samplers import PatchSampler, TileSampler

# First words of the entropy, so that no two draws of a run share their numbers.
_SCENE_DICE = 2
_LIGHT_DICE = 3


@dataclass(frozen=True)
class SampleKey:
    """Which window to cut, and the dice for its augmentation.

    Attributes:
        scene: position of the scene in the run.
        slices: the window, as TorchGeo's sampler gave it.
        dice: entropy of the augmentation's generator; None where there is none.
        judged: the part of the window whose labels count; None counts all.
    """

    scene: int
    slices: GeoSlices
    dice: tuple[int, ...] | None = None
    judged: Window | None = None


class SceneCollection(Dataset[Sample]):
    """The scenes of one run.

    Args:
        datasets: one per scene.
    """

    def __init__(self, datasets: Sequence[SceneDataset]) -> None:
        self.datasets = tuple(datasets)

    def __getitem__(self, key: SampleKey) -> Sample:
        """Read one window of one scene.

        Returns:
            The sample of `SceneDataset`, "scene" () int64 and, where the key brings them, `DICE`
            (N,) int64 for `augment`. Labels outside the key's `judged` are `IGNORE`.
        """
        sample = self.datasets[key.scene][key.slices]
        if key.judged is not None:
            sample["label"] = _judged_only(sample["label"], sample["window"], key.judged)
        if key.dice is not None:
            sample[DICE] = torch.tensor(key.dice, dtype=torch.int64)
        return sample | {"scene": torch.tensor(key.scene, dtype=torch.int64)}


class MixedSampler(Sampler[SampleKey]):
    """Random patches of all scenes, each scene in proportion to where patches can lie.

    Args:
        samplers: scene number and the patches of that scene; no scene twice.
        length: patches per epoch; no sampler may be shorter.
        seed: together with the epoch it decides the scenes and the augmentation.
        augmented: whether the samples are augmented.
    """

    def __init__(
        self,
        samplers: Sequence[tuple[int, PatchSampler]],
        *,
        length: int,
        seed: int,
        augmented: bool = True,
    ) -> None:
        if any(len(sampler) < length for _, sampler in samplers):
            raise ValueError(f"a sampler is shorter than the epoch of {length} patches")
        self.samplers = tuple(samplers)
        self.length = length
        self.seed = seed
        self.augmented = augmented
        self.pool_epochs: int | None = None
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose which patches come next; Lightning calls it before every epoch.

        After `pool_epochs`, if set, the patches of the first epoch come again, and so on.
        """
        self.epoch = epoch if self.pool_epochs is None else epoch % self.pool_epochs
        for _, sampler in self.samplers:
            sampler.set_epoch(self.epoch)

    def __iter__(self) -> Iterator[SampleKey]:
        """Yield the epoch's patches."""
        rng = np.random.default_rng((_SCENE_DICE, self.seed, self.epoch))
        positions = np.array([sampler.positions for _, sampler in self.samplers])
        order = rng.choice(len(self.samplers), size=self.length, p=positions / positions.sum())
        streams = [iter(sampler) for _, sampler in self.samplers]
        for draw, chosen in enumerate(order):
            dice = (_LIGHT_DICE, self.seed, self.epoch, draw) if self.augmented else None
            yield SampleKey(self.samplers[chosen][0], next(streams[chosen]), dice)

    def __len__(self) -> int:
        """Patches per epoch."""
        return self.length


class ChainedSampler(Sampler[SampleKey]):
    """The tiles of several regions, one region after the other.

    Args:
        samplers: scene number and tiles; a scene may come several times.
        judged: one window per sampler, outside of which labels do not count; default all count.
    """

    def __init__(
        self,
        samplers: Sequence[tuple[int, TileSampler]],
        judged: Sequence[Window] | None = None,
    ) -> None:
        self.samplers = tuple(samplers)
        self.judged = (None,) * len(self.samplers) if judged is None else tuple(judged)

    def __iter__(self) -> Iterator[SampleKey]:
        """Yield the tiles."""
        for (scene, sampler), judged in zip(self.samplers, self.judged, strict=True):
            for slices in sampler:
                yield SampleKey(scene, slices, judged=judged)

    def __len__(self) -> int:
        """Number of tiles."""
        return sum(len(sampler) for _, sampler in self.samplers)


def _judged_only(label: torch.Tensor, window: torch.Tensor, judged: Window) -> torch.Tensor:
    """The labels (H, W) of a window, `IGNORE` outside the judged part."""
    col, row, _, _ = window.tolist()
    top, left = max(judged.row_off - row, 0), max(judged.col_off - col, 0)
    rows = slice(top, max(judged.row_off + judged.height - row, 0))
    cols = slice(left, max(judged.col_off + judged.width - col, 0))
    kept = torch.full_like(label, IGNORE)
    kept[rows, cols] = label[rows, cols]
    return kept
