"""Scenes without labels in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from geocobot.config import PretrainOptions
from geocobot.errors import BandError, MissingFileError
from geocobot.progress import SilentProgress
from geocobot.workflows import unlabelled
from geocobot.workflows.unlabelled import open_unlabelled, read_bank


def ramp(height: int, width: int) -> np.ndarray:
    image = np.arange(height * width).reshape(height, width) % 1000
    return np.stack([image, image[::-1], image[:, ::-1]]).astype("uint16")


def test_every_scene_is_stretched_by_its_own_range(scene_factory: Callable[..., Path]) -> None:
    dark = scene_factory(image=ramp(200, 300), name="dark.tif")
    bright = scene_factory(image=ramp(200, 300) * 50, name="bright.tif")
    scenes = open_unlabelled(PretrainOptions(raster=(str(dark), str(bright))))
    bank, _ = read_bank(scenes, 0, SilentProgress())
    assert bank is not None
    first, second = bank.windows
    assert first.shape == second.shape == (3, 200, 300)
    assert (first.int() - second.int()).abs().max() <= 1
    assert first.min() == 0
    assert first.max() == 255


def test_no_scenes_no_bank() -> None:
    bank, fingerprint = read_bank((), 0, SilentProgress())
    assert bank is None
    assert len(fingerprint) == 64


def test_what_has_no_data_around_it_is_cut_off(scene_factory: Callable[..., Path]) -> None:
    image = np.zeros((3, 400, 400), "uint16")
    image[:, 100:300, 50:250] = ramp(200, 200) + 1
    path = scene_factory(image=image, nodata=0)
    bank, _ = read_bank(open_unlabelled(PretrainOptions(raster=(str(path),))), 0, SilentProgress())
    assert bank is not None
    assert [tuple(w.shape) for w in bank.windows] == [(3, 200, 200)]


def test_scenes_that_are_mostly_empty_are_refused(scene_factory: Callable[..., Path]) -> None:
    image = ramp(300, 300) + 1
    image[:, ::2] = 0
    scenes = open_unlabelled(
        PretrainOptions(raster=(str(scene_factory(image=image, name="holes.tif", nodata=0)),))
    )
    with pytest.raises(BandError, match=r"holes has no part of 128 x 128 px that is 90% data"):
        read_bank(scenes, 0, SilentProgress())


def test_scenes_that_are_too_small_are_refused(scene_factory: Callable[..., Path]) -> None:
    scenes = open_unlabelled(PretrainOptions(raster=(str(scene_factory(image=ramp(100, 400))),)))
    with pytest.raises(BandError, match=r"--nodata, or leave --raster out"):
        read_bank(scenes, 0, SilentProgress())


def test_large_scenes_are_read_by_windows_drawn_at_random(
    scene_factory: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unlabelled, "_WINDOW_PX", 128)
    monkeypatch.setattr(unlabelled, "_MAX_WINDOWS", 3)
    scenes = open_unlabelled(
        PretrainOptions(raster=(str(scene_factory(image=ramp(128 * 4, 128 * 3 + 20))),))
    )
    banks = [read_bank(scenes, seed, SilentProgress()) for seed in (0, 0, 1)]
    for bank, _ in banks:
        assert bank is not None
        assert [tuple(w.shape) for w in bank.windows] == [(3, 128, 128)] * 3
    fingerprints = [fingerprint for _, fingerprint in banks]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_a_scene_that_is_not_there_is_named() -> None:
    with pytest.raises(MissingFileError, match=r"nowhere\.tif"):
        open_unlabelled(PretrainOptions(raster=("nowhere.tif",)))
