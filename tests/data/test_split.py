from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from contextlib import closing

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import CRS
from rasterio.windows import Window

from geocobot.data.rectangles import area, contains
from geocobot.data.split import Split, choose_patch_px, split_scenes, write_split
from geocobot.data.survey import Survey
from geocobot.errors import SplitError
from geocobot.grid import GeoGrid
from geocobot.windows import grown, intersect

UTM = CRS.from_epsg(32633)


def survey_of(
    shape_hw: tuple[int, int],
    *,
    seed: int = 0,
    origin_xy: tuple[float, float] = (500_000, 5_000_000),
    crs: CRS = UTM,
    res: float = 1.0,
    labelled: np.ndarray | None = None,
) -> Survey:
    """Two classes mixed at random in cells of 32 px; `labelled` (R, C) bool switches cells off."""
    rows, cols = -(-shape_hw[0] // 32), -(-shape_hw[1] // 32)
    ones = np.random.default_rng(seed).integers(0, 1025, (rows, cols))
    cells = np.stack([1024 - ones, ones])
    if labelled is not None:
        cells = cells * labelled
    table = np.zeros((2, rows + 1, cols + 1), dtype=np.int64)
    table[:, 1:, 1:] = cells.cumsum(axis=1).cumsum(axis=2)
    grid = GeoGrid(crs, Affine(res, 0, origin_xy[0], 0, -res, origin_xy[1]), shape_hw)
    return Survey(f"scene_{seed}", grid, 32, (0, 1), table)


def assert_apart(split: Split) -> None:
    """The law: no training patch touches a validation block or its gap."""
    assert split.gap_px >= split.patch_px / 2
    for block in split.val:
        assert block.width == block.height == split.patch_px
        assert all(intersect(grown(block, split.gap_px), r) is None for r in split.train)
    assert area(split.val) == len(split.val) * split.patch_px**2
    assert all(min(r.width, r.height) >= split.patch_px for r in split.train)


def n_side_by_side(regions: Sequence[Window], size_px: int) -> int:
    """Squares that lie in a region and do not overlap, as many as are found one by one."""
    taken: list[Window] = []
    for r in regions:
        for row in range(r.row_off, r.row_off + r.height - size_px + 1, size_px):
            for col in range(r.col_off, r.col_off + r.width - size_px + 1, size_px):
                square = Window(col, row, size_px, size_px)
                if not any(intersect(square, other) for other in taken):
                    taken.append(square)
    return len(taken)


@settings(deadline=None, max_examples=5, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(256, 1400), st.integers(256, 1400), st.integers(0, 3))
def test_training_and_validation_are_apart_and_large_enough(height, width, seed):
    survey = survey_of((height, width), seed=seed)
    patch_px = choose_patch_px([survey], 512, seed)
    assert patch_px % 64 == 0
    assert patch_px <= min(512, height, width)
    (split,) = split_scenes([survey], patch_px, seed)
    assert_apart(split)
    assert len(split.val) >= 2
    assert n_side_by_side(split.train, patch_px) >= 8
    extent = Window(0, 0, width, height)
    assert all(contains(extent, w) for w in (*split.train, *split.val))


@pytest.mark.parametrize(
    ("shape_hw", "max_px", "expected"),
    [
        ((256, 256), 512, 64),
        ((500, 650), 512, 128),
        ((1300, 1300), 512, 320),
        ((1300, 1300), 1024, 320),
        ((3072, 2048), 512, 512),
        ((8000, 8000), 1024, 1024),
    ],
)
def test_the_patch_is_the_largest_that_fits(shape_hw, max_px, expected):
    assert choose_patch_px([survey_of(shape_hw)], max_px) == expected


def test_validation_has_about_a_fifth():
    survey = survey_of((2000, 2000))
    (split,) = split_scenes([survey], 128)
    share = len(split.val) * 128**2 / 2000**2
    assert 0.15 < share < 0.25
    assert split.train_area_px > 0.6 * 2000**2


def test_the_seed_decides():
    survey = survey_of((900, 900))
    assert split_scenes([survey], 128, seed=1) == split_scenes([survey], 128, seed=1)
    assert split_scenes([survey], 128, seed=1) != split_scenes([survey], 128, seed=2)


def test_every_class_is_on_both_sides(make_survey):
    numbers = np.zeros((640, 640), dtype=np.uint8)
    numbers[100:140, 80:560] = 1  # a road across the north
    numbers[560:600, 40:600] = 2  # and another one in the south
    numbers[300:330, 20:50] = 3  # a house in the west
    numbers[300:330, 560:600] = 3  # and one in the east
    survey = make_survey((640, 640), numbers=numbers)
    (split,) = split_scenes([survey], 64, seed=0)
    for windows in (split.train, split.val):
        seen = {int(n) for w in windows for n in np.unique(cut(numbers, w))}
        assert seen == {0, 1, 2, 3}


def cut(numbers: np.ndarray, window: Window) -> np.ndarray:
    rows = slice(window.row_off, window.row_off + window.height)
    return numbers[rows, window.col_off : window.col_off + window.width]


def test_blocks_keep_away_from_nodata():
    labelled = np.zeros((40, 40), dtype=bool)
    labelled[:, 20:] = True
    survey = survey_of((1280, 1280), labelled=labelled)
    (split,) = split_scenes([survey], 128)
    shares = survey.counts(split.val).sum(axis=1) / 128**2
    assert (shares >= 0.5).all()
    target = 0.2 * 1280 * 640 / 128**2
    assert len(split.val) == pytest.approx(target, abs=target / 3)


def test_many_small_scenes_share_the_budget():
    surveys = [survey_of((406, 439), seed=k, origin_xy=(5e5 + 1e4 * k, 5e6)) for k in range(10)]
    patch_px = choose_patch_px(surveys, 512)
    assert patch_px == 384
    splits = split_scenes(surveys, patch_px)
    assert sum(len(s.val) for s in splits) == 2
    assert sum(bool(s.train) for s in splits) == 8
    for split in splits:
        assert_apart(split)


def test_scenes_smaller_than_a_patch_are_padded_not_dropped():
    surveys = [survey_of((300, 200), seed=k, origin_xy=(5e5 + 1e4 * k, 5e6)) for k in range(12)]
    splits = split_scenes(surveys, 320)
    assert {r for s in splits for r in s.train} == {Window(0, 0, 320, 320)}
    assert {b for s in splits for b in s.val} == {Window(0, 0, 320, 320)}


@pytest.mark.parametrize("other", [UTM, CRS.from_epsg(3857)])
def test_scenes_of_the_same_ground_keep_the_gap_across_scenes(other):
    first = survey_of((1000, 1000), seed=0)
    place = gpd.GeoSeries([shapely.Point(500_500, 4_999_900)], crs=UTM).to_crs(other).iloc[0]
    second = survey_of((1000, 1000), seed=1, origin_xy=(place.x, place.y), crs=other)
    splits = split_scenes([first, second], 128)
    assert sum(len(s.val) for s in splits) >= 2
    on_first = [
        gpd.GeoSeries(
            [shapely.box(*survey.grid.bounds_of(w)) for s in [split] for w in getattr(s, role)],
            crs=survey.grid.crs,
        ).to_crs(UTM)
        for role in ("train", "val")
        for survey, split in zip((first, second), splits, strict=True)
    ]
    train = shapely.union_all([g for series in on_first[:2] for g in series])
    val = shapely.union_all([g for series in on_first[2:] for g in series])
    # A pixel of EPSG:3857 is 0.7 m on the ground at 45 degrees north.
    least_m = 64 * (1.0 if other == UTM else 0.69)
    assert shapely.distance(train, val) >= least_m - 1e-6


def test_a_scene_that_is_too_small_says_what_to_do():
    with pytest.raises(SplitError, match=r"scene_0 has no room for a training .* give more scenes"):
        choose_patch_px([survey_of((150, 150))], 512)


def test_a_few_labelled_squares_are_better_than_nothing(caplog):
    labelled = np.zeros((20, 20), dtype=bool)
    for row, col in ((2, 2), (2, 12), (8, 4), (14, 14)):
        labelled[row : row + 2, col : col + 2] = True
    survey = survey_of((640, 640), labelled=labelled)
    assert choose_patch_px([survey], 512) == 64
    (split,) = split_scenes([survey], 64)
    assert split.train
    assert split.val
    assert "Patches of 64 px leave only" in caplog.text
    assert "more labels would tell more" in caplog.text


@pytest.mark.parametrize("side_px", [4_000, 100_000])
def test_a_few_labelled_squares_are_found_in_a_scene_of_any_size(side_px, monkeypatch, caplog):
    """As on a small scene, where they lie; the work does not grow with the scene."""
    asked = []
    counted = Survey.labelled_in_squares
    monkeypatch.setattr(
        Survey,
        "labelled_in_squares",
        lambda survey, tops, lefts, side: (
            asked.append(len(tops) * len(lefts)) or counted(survey, tops, lefts, side)
        ),
    )
    survey = sparse_survey(side_px, [(0.1, 0.2), (0.8, 0.15), (0.4, 0.7), (0.85, 0.9)], 512)
    assert choose_patch_px([survey], 512) == 256
    (split,) = split_scenes([survey], 256)
    assert caplog.text == ""
    assert_apart(split)
    assert len(split.val) >= 2
    assert survey.counts(split.val).sum(axis=1).min() >= 256**2 / 2
    labelled = survey.counts(split.train).sum()
    assert labelled >= 8 * 256**2 / 2
    assert sum(asked) < 3e6 + (side_px / 100) ** 2


def sparse_survey(side_px: int, places: Sequence[tuple[float, float]], square_px: int) -> Survey:
    """Squares of labels at shares of a scene's width and height."""
    cell_px = 32
    while side_px > 512 * cell_px:
        cell_px *= 2
    n = -(-side_px // cell_px)
    cells = np.zeros((2, n, n), dtype=np.int64)
    for x, y in places:
        row, col = int(y * n), int(x * n)
        there = np.s_[row : row + square_px // cell_px, col : col + square_px // cell_px]
        cells[0][there], cells[1][there] = cell_px**2 * 3 // 4, cell_px**2 // 4
    table = np.zeros((2, n + 1, n + 1), dtype=np.int64)
    table[:, 1:, 1:] = cells.cumsum(axis=1).cumsum(axis=2)
    grid = GeoGrid(UTM, Affine(0.1, 0, 500_000, 0, -0.1, 5_000_000), (side_px, side_px))
    return Survey("sparse", grid, cell_px, (0, 1), table)


def test_a_scene_without_labels_cannot_be_split():
    empty = survey_of((600, 600), labelled=np.zeros((19, 19), dtype=bool))
    with pytest.raises(SplitError, match="from labelled pixels with data"):
        choose_patch_px([empty], 512)
    with pytest.raises(SplitError, match="smaller --patch-size"):
        split_scenes([empty], 64)


def test_a_patch_that_is_too_large_is_said(caplog):
    with caplog.at_level(logging.WARNING, logger="geocobot.data"):
        (split,) = split_scenes([survey_of((700, 700))], 256)
    assert "Patches of 256 px leave only" in caplog.text
    assert_apart(split)
    assert split.train
    assert split.val


def test_a_patch_as_large_as_the_scene_is_refused():
    with pytest.raises(SplitError, match=r"no room .* of 512 px with a gap of 256 px"):
        split_scenes([survey_of((512, 512))], 512)


def test_the_written_split_covers_the_scene_once(tmp_path):
    survey = survey_of((500, 650))
    (split,) = split_scenes([survey], 128)
    path = tmp_path / "split.gpkg"
    write_split(path, [("here", survey.grid)], [split])
    frame = gpd.read_file(path, layer="split")
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (10300,)
    assert frame.crs == UTM
    assert set(frame["role"]) == {"train", "validation", "gap"}
    assert set(frame["scene"]) == {"here"}
    assert (frame["role"] == "validation").sum() == len(split.val)
    assert frame.area.sum() == pytest.approx(500 * 650)
    assert frame.union_all().equals(shapely.box(*survey.grid.bounds))
    assert frame[frame["role"] == "train"].area.sum() == pytest.approx(split.train_area_px)


def test_scenes_of_several_crs_are_written_in_degrees(tmp_path, make_survey):
    surveys = [
        make_survey((256, 256), name="a.tif"),
        make_survey((256, 256), name="b.tif", crs="EPSG:32733", origin_xy=(3e5, 9e6)),
    ]
    splits = split_scenes(surveys, 64)
    path = tmp_path / "split.gpkg"
    write_split(path, [(s.name, s.grid) for s in surveys], splits)
    frame = gpd.read_file(path)
    assert frame.crs == CRS.from_epsg(4326)
    assert set(frame["scene"]) == {"a", "b"}


class TestGiven:
    """Validation where somebody says."""

    @settings(deadline=None, max_examples=25)
    @given(
        st.lists(
            st.builds(
                Window,
                st.integers(0, 800),
                st.integers(0, 800),
                st.integers(1, 300),
                st.integers(1, 300),
            ),
            min_size=1,
            max_size=4,
        ),
        st.sampled_from([64, 128]),
    )
    def test_blocks_cover_what_is_given_and_training_keeps_away(self, windows, patch_px):
        survey = survey_of((1200, 1200))
        (split,) = split_scenes([survey], patch_px, given=(tuple(windows),))
        for block in split.val:
            assert max(block.width, block.height) <= patch_px
            assert all(intersect(grown(block, split.gap_px), r) is None for r in split.train)
        assert area(split.val) == sum(b.width * b.height for b in split.val)
        for window in windows:
            parts = [intersect(window, block) for block in split.val]
            assert area([p for p in parts if p]) == window.width * window.height
        if len(windows) == 1:
            assert area(split.val) == windows[0].width * windows[0].height

    def test_a_scene_of_its_own_is_validation_alone(self):
        learned = survey_of((600, 600))
        judged = survey_of((300, 450), seed=1, origin_xy=(600_000, 5_000_000))
        validation = ((), (Window(0, 0, 450, 300),))
        first, second = split_scenes([learned, judged], 128, given=validation)
        assert first.val == ()
        assert first.train == (Window(0, 0, 600, 600),)
        assert second.train == ()
        assert len(second.val) == 4 * 3
        assert area(second.val) == 300 * 450

    def test_a_scene_of_its_own_that_overlaps_keeps_its_gap(self):
        learned = survey_of((600, 600))
        judged = survey_of((256, 256), seed=1, origin_xy=(500_400, 5_000_000))
        validation = ((), (Window(0, 0, 256, 256),))
        first, second = split_scenes([learned, judged], 128, given=validation)
        assert len(second.val) == 4
        assert all(r.col_off + r.width <= 400 - 64 or r.row_off >= 256 + 64 for r in first.train)

    def test_the_patch_is_chosen_with_it(self):
        survey = survey_of((1300, 1300))
        small = ((Window(100, 100, 200, 200),),)
        assert choose_patch_px([survey], 512, given=small) == 128
        large = ((Window(0, 0, 1300, 500),),)
        assert choose_patch_px([survey], 512, given=large) > 128

    def test_nothing_is_left(self):
        survey = survey_of((400, 400))
        with pytest.raises(SplitError, match="no labelled patch of 64 px to train on, or none to"):
            split_scenes([survey], 64, given=((Window(0, 0, 400, 400),),))
        with pytest.raises(SplitError, match="validate elsewhere: --val-area, --val-raster"):
            choose_patch_px([survey], 256, given=((Window(0, 0, 400, 400),),))

    def test_an_area_without_labels(self):
        labelled = np.ones((20, 20), dtype=bool)
        labelled[:10] = False
        survey = survey_of((640, 640), labelled=labelled)
        with pytest.raises(SplitError, match="none to validate with, where --val-area"):
            split_scenes([survey], 64, given=((Window(0, 0, 640, 128),),))
