from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torchgeo.samplers
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS
from rasterio.windows import Window

from geocobot.data.dataset import SceneDataset
from geocobot.data.hardness import HardPlaces
from geocobot.data.rectangles import contains
from geocobot.data.samplers import PatchSampler, TileSampler, slices_of, windows_of
from geocobot.grid import GeoGrid
from geocobot.io.scene import Scene
from geocobot.tiling import TilePlan
from geocobot.windows import intersect

DEGREES = CRS.from_epsg(4326)
GRIDS = {
    "degrees, 0.3 m": (DEGREES, -115.2, 36.2, 2.7e-6, 2.7e-6),
    "degrees, oblong pixels": (DEGREES, 1 / 3, -1 / 7, 1.1e-5, 0.7e-5),
    "UTM, 0.1 m": (CRS.from_epsg(32633), 399_999.9, 5_600_000.1, 0.1, 0.1),
    "UTM south, a third of a metre": (CRS.from_epsg(32733), 250_000.7, 9_999_999.3, 1 / 3, 1 / 3),
    "web mercator, 0.075 m": (CRS.from_epsg(3857), -2.0037e7, 1.9e7, 0.0746455, 0.0746455),
    "Sentinel": (CRS.from_epsg(32631), 499_980, 5_700_000, 10.0, 10.0),
}


def dataset_on(name: str, shape_hw: tuple[int, int], regions=None) -> SceneDataset:
    """A scene that is never read."""
    crs, x, y, res_x, res_y = GRIDS[name]
    grid = GeoGrid(crs, Affine(res_x, 0, x, 0, -res_y, y), shape_hw)
    bands = ("red", "green", "blue")
    scene = Scene(
        "never_read.tif", grid, (1, 2, 3), bands, "uint8", (None,) * 3, False, None, False
    )
    return SceneDataset(scene, (), regions=regions)


grids = st.sampled_from(sorted(GRIDS))
sides = st.integers(1, 1500)


@settings(deadline=None, max_examples=120)
@given(grids, sides, sides, st.integers(32, 512), st.floats(0.3, 1.0))
def test_tiles_are_those_of_integer_arithmetic(name, height, width, size_px, share):
    stride = max(1, round(size_px * share))
    dataset = dataset_on(name, (height, width))
    windows = windows_of(TileSampler(dataset, size_px=size_px, stride_px=stride), dataset.grid)
    expected = [
        Window(col, row, size_px, size_px)
        for row in range(0, max(height - size_px, 0) + stride, stride)
        if row < stride or row - stride + size_px < height
        for col in range(0, max(width - size_px, 0) + stride, stride)
        if col < stride or col - stride + size_px < width
    ]
    assert windows == expected
    TilePlan.of(dataset.grid, windows, overlap_px=size_px - stride)


@pytest.mark.parametrize("name", sorted(GRIDS))
@pytest.mark.parametrize("tiles", [1, 2, 7, 40])
def test_scenes_of_whole_tiles_get_no_tile_more_or_less(name, tiles):
    dataset = dataset_on(name, (256 * tiles, 256))
    assert len(TileSampler(dataset, size_px=256)) == tiles
    more = dataset_on(name, (256 * tiles + 1, 256))
    assert len(TileSampler(more, size_px=256)) == tiles + 1


@settings(deadline=None, max_examples=60)
@given(grids, st.integers(-5, 900), st.integers(-5, 900), st.integers(1, 300), st.integers(1, 300))
def test_a_region_is_tiled_from_its_own_corner(name, col, row, width, height):
    dataset = dataset_on(name, (1000, 1000))
    region = Window(col, row, width, height)
    windows = windows_of(TileSampler(dataset, size_px=128, region=region), dataset.grid)
    assert windows[0] == Window(col, row, 128, 128)
    assert len(windows) == -(-width // 128) * -(-height // 128)


def test_a_scene_smaller_than_a_tile_gets_one():
    dataset = dataset_on("Sentinel", (3, 5))
    assert windows_of(TileSampler(dataset, size_px=64), dataset.grid) == [Window(0, 0, 64, 64)]


def test_a_stride_that_leaves_gaps_is_refused():
    with pytest.raises(ValueError, match="stride of 65 px leaves gaps between 64 px tiles"):
        TileSampler(dataset_on("Sentinel", (100, 100)), size_px=64, stride_px=65)


@pytest.mark.parametrize("name", sorted(GRIDS))
def test_patches_stay_in_their_regions_and_reach_every_edge(name):
    regions = (Window(0, 0, 70, 66), Window(100, 30, 64, 68))
    dataset = dataset_on(name, (100, 170), regions)
    drawn = windows_of(PatchSampler(dataset, size_px=64, length=2000, seed=1), dataset.grid)
    assert all(any(contains(r, w) for r in regions) for w in drawn)
    first = [w for w in drawn if w.col_off < 100]
    assert {w.col_off for w in first} == set(range(7))
    assert {w.row_off for w in first} == set(range(3))
    assert {(w.col_off, w.row_off) for w in drawn if w.col_off >= 100} == {
        (100, row) for row in range(30, 35)
    }


def test_positions_in_two_regions_are_as_likely_as_any():
    # A cross: the middle belongs to both arms.
    regions = (Window(0, 2, 7, 3), Window(2, 0, 3, 7))
    dataset = dataset_on("Sentinel", (7, 7), regions)
    drawn = windows_of(PatchSampler(dataset, size_px=2, length=20_000, seed=5), dataset.grid)
    counts = Counter((w.col_off, w.row_off) for w in drawn)
    assert len(counts) == 20
    expected = 20_000 / 20
    chi_squared = sum((n - expected) ** 2 / expected for n in counts.values())
    assert chi_squared < 43.8  # 99.9 % of fair draws, 19 degrees of freedom


def test_patches_follow_from_seed_and_epoch_alone():
    dataset = dataset_on("Sentinel", (500, 500))

    def draw(seed: int, epoch: int, stream: int = 0) -> list[Window]:
        sampler = PatchSampler(dataset, size_px=64, length=20, seed=seed, stream=stream)
        sampler.set_epoch(epoch)
        np.random.default_rng().random()
        return windows_of(sampler, dataset.grid)

    assert draw(1, 0) == draw(1, 0)
    assert draw(1, 0) != draw(1, 1)
    assert draw(1, 0) != draw(2, 0)
    assert draw(1, 0) != draw(1, 0, stream=1)


def test_patches_without_labels_are_drawn_again(make_survey):
    mask = np.zeros((640, 640), dtype=bool)
    mask[:, :100] = True
    survey = make_survey((640, 640), mask=mask)
    dataset = dataset_on("Sentinel", (640, 640))
    sampler = PatchSampler(dataset, size_px=64, length=200, seed=0, survey=survey)
    windows = windows_of(sampler, dataset.grid)
    assert all(w.col_off < 100 for w in windows)


def test_a_speck_of_labels_in_a_large_scene_is_found(make_survey):
    mask = np.zeros((2560, 2560), dtype=bool)
    mask[2000:2032, 640:672] = True
    survey = make_survey((2560, 2560), mask=mask)
    dataset = dataset_on("Sentinel", (2560, 2560))
    sampler = PatchSampler(dataset, size_px=64, length=100, seed=0, survey=survey)
    speck = Window(640, 2000, 32, 32)
    windows = windows_of(sampler, dataset.grid)
    assert all(intersect(window, speck) for window in windows)
    assert len({(w.col_off, w.row_off) for w in windows}) > 90


def test_balanced_patches_show_every_class_as_often(make_survey):
    numbers = np.zeros((1280, 1280), dtype=np.uint8)
    numbers[320:352, 960:992] = 1
    numbers[640:, :320] = 2
    survey = make_survey((1280, 1280), numbers=numbers)
    dataset = dataset_on("Sentinel", (1280, 1280))
    rare = Window(960, 320, 32, 32)

    def share(sampling: str) -> float:
        sampler = PatchSampler(
            dataset, size_px=64, length=600, seed=0, survey=survey, sampling=sampling
        )
        windows = windows_of(sampler, dataset.grid)
        assert windows == windows_of(sampler, dataset.grid)
        return sum(intersect(w, rare) is not None for w in windows) / len(windows)

    assert share("area") < 0.03
    assert 0.28 < share("classes") < 0.39


@pytest.mark.parametrize("sampling", ["classes", "hard"])
def test_draws_by_what_is_there_need_a_survey(sampling):
    dataset = dataset_on("Sentinel", (128, 128))
    with pytest.raises(ValueError, match=f"drawn by {sampling} with a survey"):
        PatchSampler(dataset, size_px=64, length=1, sampling=sampling)


def test_hard_places_are_shown_more_often_from_the_next_epoch_on(make_survey):
    survey = make_survey((1280, 1280))
    dataset = dataset_on("Sentinel", (1280, 1280))
    sampler = PatchSampler(dataset, size_px=64, length=800, seed=0, survey=survey, sampling="hard")
    plain = PatchSampler(dataset, size_px=64, length=800, seed=0, survey=survey)
    hard = Window(960, 320, 64, 64)

    def share() -> float:
        windows = windows_of(sampler, dataset.grid)
        return sum(intersect(w, hard) is not None for w in windows) / len(windows)

    # As long as nothing is known, patches lie where those of any other sampling do.
    assert windows_of(sampler, dataset.grid) == windows_of(plain, dataset.grid)
    sampler.hard_places.note(Window(0, 0, 1280, 1280), 0.01)
    assert share() < 0.05
    running = iter(sampler)
    drawn = [next(running) for _ in range(400)]
    sampler.hard_places.note(hard, 40.0)
    drawn += list(running)
    late = windows_of(drawn[400:], dataset.grid)
    assert sum(intersect(w, hard) is not None for w in late) / len(late) < 0.05
    # Half of the draws go by the error, and nearly all of it is there.
    assert 0.35 < share() < 0.55
    assert windows_of(sampler, dataset.grid) == windows_of(sampler, dataset.grid)


def test_what_is_remembered_of_a_place(make_survey):
    survey = make_survey((128, 128))
    places = HardPlaces(survey, [Window(0, 0, 128, 128)])
    assert places.weights() is None
    assert len(places.errors) == 16
    places.note(Window(0, 0, 64, 64), 1.0)
    places.note(Window(0, 0, 32, 64), 3.0)
    assert np.nansum(places.errors) == pytest.approx(2 * 2.0 + 2 * 1.0)
    weights = places.weights()
    assert weights.sum() == pytest.approx(1)
    # Where nothing was shown yet, the mean is expected.
    assert sorted(set(np.round(weights * 24, 6))) == [1.0, 1.5, 2.0]
    places.note(Window(0, 0, 128, 128), 0.0)
    rng = np.random.default_rng(0)
    drawn = [places.draw(rng, places.weights()) for _ in range(400)]
    assert all(0 <= col < 128 and 0 <= row < 128 for col, row in drawn)
    in_hard = sum(col < 32 and row < 64 for col, row in drawn) / 400
    assert in_hard == pytest.approx(2 * 1.0 / (2 * 1.0 + 2 * 0.5 + 12 * 0.01875), abs=0.08)


def test_a_scene_without_labels_ends_the_redraws(make_survey):
    survey = make_survey((128, 128), mask=np.zeros((128, 128), dtype=bool))
    dataset = dataset_on("Sentinel", (128, 128))
    assert len(list(PatchSampler(dataset, size_px=64, length=3, seed=0, survey=survey))) == 3


def test_both_are_torchgeo_samplers():
    dataset = dataset_on("Sentinel", (128, 128))
    assert isinstance(PatchSampler(dataset, size_px=64, length=1), torchgeo.samplers.GeoSampler)
    assert isinstance(TileSampler(dataset, size_px=64), torchgeo.samplers.GeoSampler)


@settings(deadline=None)
@given(grids, st.integers(-2000, 40_000), st.integers(-2000, 40_000), st.integers(1, 2000))
def test_slices_give_their_window_back(name, col, row, side):
    grid = dataset_on(name, (30_000, 30_000)).grid
    window = Window(col, row, side, side)
    assert windows_of([slices_of(grid, window)], grid) == [window]
