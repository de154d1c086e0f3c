"""Several scenes judged together: what was counted apart is as if it had been one."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Transformer
from rasterio.windows import Window

from geocobot.classes import IGNORE, classify, name_classes
from geocobot.evaluation.apls import Apls, mean_apls
from geocobot.evaluation.block_plan import MAX_BLOCKS, BlockPlan
from geocobot.evaluation.error_map import map_errors
from geocobot.evaluation.joint_errors import joint_errors
from geocobot.evaluation.judge import PixelJudge, joint_report
from geocobot.evaluation.line_errors import line_errors
from geocobot.evaluation.lines import RoadLines, joint_lines, pair_lines, score_lines
from geocobot.evaluation.objects import Objects, joint_scores, match_objects, score_objects
from geocobot.evaluation.shared_ground import shared_ground
from geocobot.grid import GeoGrid
from geocobot.steps import NODATA, scores_of

CLASSES = name_classes(["road", "roof"])
PLANE = CRS.from_epsg(32633)
WEST, NORTH = 500_000.0, 5_000_000.0
FAR_M = 50_000.0


def made_up(seed, shape=(60, 70)):
    """Truth, scores in steps and where to judge."""
    rng = np.random.default_rng(seed)
    coarse = rng.choice([0, 0, 1, 2, IGNORE], (9, 12)).astype(np.uint8)
    truth = np.kron(coarse, np.ones((8, 8), np.uint8))[: shape[0], : shape[1]]
    chance = np.stack([truth == 1, truth == 2]) * 140 + rng.integers(0, 110, (2, *shape))
    steps = chance.astype(np.uint8)
    steps[:, rng.random(shape) < 0.02] = NODATA
    return truth, steps, rng.random(shape) > 0.1


def judge_of(truth, steps, judged, rows=slice(None), side_m=10.0):
    truth, steps, judged = truth[rows], steps[:, rows], judged[rows]
    plan = BlockPlan.over(Window(0, 0, truth.shape[1], len(truth)), (1.0, 1.0), side_m)
    judge = PixelJudge(CLASSES, plan)
    prediction = classify(scores_of(steps), steps[0] != NODATA, CLASSES)
    judge.add(truth, prediction, judged, steps)
    return judge


@settings(max_examples=20)
@given(st.integers(0, 5), st.integers(1, 59))
def test_pixels_of_a_scene_cut_in_two_are_those_of_the_scene(seed, cut):
    made = made_up(seed)
    whole = judge_of(*made).report((1.0, 1.0), seed=3)
    parts = [judge_of(*made, rows) for rows in (slice(None, cut), slice(cut, None))]
    joint = joint_report(parts, [(1.0, 1.0)] * 2, seed=3)
    assert joint.scores == whole.scores
    assert joint.curves == whole.curves
    assert joint.calibration == whole.calibration


@settings(max_examples=20)
@given(st.integers(0, 5), st.integers(1, 50))
def test_outlines_are_too_where_no_pixel_of_one_part_is_near_the_other(seed, cut):
    truth, steps, judged = made_up(seed)
    judged[cut : cut + 9] = False
    whole = judge_of(truth, steps, judged).report((1.0, 1.0), seed=3)
    parts = [judge_of(truth, steps, judged, r) for r in (slice(None, cut), slice(cut, None))]
    assert joint_report(parts, [(1.0, 1.0)] * 2, seed=3).boundaries == whole.boundaries


def test_blocks_are_drawn_from_all_scenes_and_more_scenes_tell_more():
    judges = [judge_of(*made_up(seed)) for seed in range(8)]
    few = joint_report(judges[:2], [(1.0, 1.0)] * 2, seed=3).uncertainty
    many = joint_report(judges, [(1.0, 1.0)] * 8, seed=3).uncertainty
    assert (few.scenes, many.scenes) == (2, 8)
    assert many.blocks == 4 * few.blocks
    assert many.block_px == (10, 10)
    widths = [sure.mean_iou.high - sure.mean_iou.low for sure in (few, many)]
    assert widths[1] < 0.7 * widths[0]


def test_blocks_of_different_sizes_have_that_of_a_typical_scene():
    judges = [judge_of(*made_up(seed), side_m=side) for seed, side in enumerate((5, 10, 30))]
    sure = joint_report(judges, [(1.0, 1.0), (0.5, 2.0), (1.0, 1.0)], seed=3).uncertainty
    assert sure.block_px is None
    assert sure.block_m == (20.0, 5.0)


def test_blocks_are_of_one_size_on_the_ground_whatever_the_scenes_are():
    windows = [Window(0, 0, 4000, 4000), Window(0, 0, 1000, 2000), Window(0, 0, 300, 300)]
    large, other, small = BlockPlan.over_all(windows, [(1.0, 1.0), (2.0, 1.0), (1.0, 1.0)])
    assert large == BlockPlan.over(windows[0], (1.0, 1.0))
    assert (large.size, other.size, small.size) == (36, 9, 1)
    assert other.side_hw == (667, 334)


def test_of_very_many_scenes_each_has_fewer_blocks():
    window, pixel_m = Window(0, 0, 4000, 4000), (1.0, 1.0)
    assert BlockPlan.over(window, pixel_m).size == 36
    plans = BlockPlan.over_all([window] * 2500, [pixel_m] * 2500)
    assert sum(plan.size for plan in plans) == MAX_BLOCKS
    assert BlockPlan.over_all([window] * 20_000, [pixel_m] * 20_000)[0].size == 1


def test_counts_of_other_classes_do_not_add_up():
    judge = judge_of(*made_up(0))
    plan = BlockPlan.over(Window(0, 0, 9, 9), (1.0, 1.0))
    other = PixelJudge(CLASSES[:1], plan)
    with pytest.raises(ValueError, match="outlines of different classes"):
        judge.boundaries + other.boundaries
    with pytest.raises(ValueError, match="scores of different classes"):
        judge.score_counts + other.score_counts


@st.composite
def scenes(draw):
    """Boxes of map and labels, with classes and scores; each scene far from the others."""
    found = []
    for k in range(draw(st.integers(1, 3))):
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        sides = []
        for n in (draw(st.integers(0, 12)), draw(st.integers(0, 12))):
            left, top = rng.integers(0, 60, (2, n)) + k * FAR_M
            width, height = rng.integers(5, 25, (2, n))
            shapes = shapely.box(left, top, left + width, top + height)
            numbers = rng.integers(1, 3, n)
            # Scores are all different: between equal ones place decides, which is another here.
            ranked = (rng.permutation(100)[:n] + 100 * k) / 300
            sides.append((np.asarray(shapes, dtype=object), numbers.astype(np.int64), ranked))
        area = shapely.box(k * FAR_M, k * FAR_M, k * FAR_M + 70, k * FAR_M + 60)
        found.append((Objects(*sides[0]), Objects(*sides[1][:2]), area))
    return found


@settings(max_examples=60)
@given(scenes())
def test_objects_of_scenes_are_those_of_one_large_scene(parts):
    together = [
        Objects(
            np.concatenate([side.polygons for side in sides]),
            np.concatenate([side.classes for side in sides]),
            np.concatenate([side.scores for side in sides]) if is_map else None,
        )
        for sides, is_map in zip(list(zip(*parts, strict=True))[:2], (True, False), strict=True)
    ]
    area = shapely.union_all([part[2] for part in parts])
    whole = score_objects(*together, CLASSES, area=area)
    matches = [match_objects(p, t, CLASSES, area=a) for p, t, a in parts]
    joint = joint_scores(matches, CLASSES)
    assert (joint.truth_left_out, joint.predicted_left_out) == (
        whole.truth_left_out,
        whole.predicted_left_out,
    )
    for mine, other in zip(joint.classes, whole.classes, strict=True):
        assert mine.by_iou == other.by_iou
        assert mine.panoptic.rq == other.panoptic.rq
        assert mine.panoptic.sq == pytest.approx(other.panoptic.sq, abs=1e-9)
        for a, b in zip(mine.sizes, other.sizes, strict=True):
            assert (a.truth, a.predicted, a.missed, a.false) == (
                b.truth,
                b.predicted,
                b.missed,
                b.false,
            )
            assert a.truth_m2 == pytest.approx(b.truth_m2)


def test_a_scene_in_which_nothing_was_mapped_takes_no_average_precision_away():
    roof = np.array([shapely.box(0, 0, 10, 10)], dtype=object)
    one = np.ones(1, np.int64)
    nothing = Objects(np.empty(0, dtype=object), np.empty(0, np.int64))
    truth = Objects(roof, one)
    found = match_objects(Objects(roof, one, np.array([0.9])), truth, CLASSES[:1])
    missed = match_objects(nothing, truth, CLASSES[:1])
    half = joint_scores([found, missed], CLASSES[:1]).classes[0].by_iou[0]
    assert (half.found, half.missed) == (1, 1)
    assert half.average_precision == pytest.approx(0.5, abs=0.01)
    without = match_objects(Objects(roof, one), truth, CLASSES[:1])
    mixed = joint_scores([found, without], CLASSES[:1]).classes[0].by_iou[0]
    assert mixed.average_precision is None


def roads(*lines):
    shapes = np.array([shapely.LineString(xy) for xy in lines], dtype=object)
    return RoadLines(shapes, np.ones(len(lines), np.int64))


def test_lengths_add_up_and_apls_is_the_mean_over_scenes():
    whole = roads([(0, 0), (1000, 0)])
    right = score_lines(pair_lines(whole, whole, CLASSES[:1]))
    missing = score_lines(pair_lines(roads(), roads([(0, 0), (200, 0)]), CLASSES[:1]))
    bare = score_lines(pair_lines(roads(), roads(), CLASSES[:1]))
    (joint,) = joint_lines([right, missing, bare]).classes
    assert (joint.truth_m, joint.predicted_m) == (1200.0, 1000.0)
    assert joint.completeness == pytest.approx(1000 / 1200)
    assert joint.correctness == pytest.approx(1.0)
    assert (right.classes[0].apls.value, missing.classes[0].apls.value) == (1.0, 0.0)
    assert bare.classes[0].apls.value is None
    assert joint.apls.value == 0.5
    assert joint_lines([right]) == right


def test_means_of_apls_leave_out_what_is_not_there():
    found = mean_apls([Apls(0.5, None, 0.5, (3, 0)), Apls(1.0, 0.5, 2 / 3, (4, 5))])
    assert found == Apls(0.75, 0.5, (0.5 + 2 / 3) / 2, (7, 5))


def errors_of(*sizes):
    """The error map of squares that were all missed."""
    shapes = [shapely.box(100 * k, 0, 100 * k + side, side) for k, side in enumerate(sizes)]
    labelled = Objects(np.array(shapes, dtype=object), np.ones(len(sizes), np.int64))
    nothing = Objects(np.empty(0, dtype=object), np.empty(0, np.int64))
    return map_errors(nothing, labelled, CLASSES[:1], PLANE, PLANE)


def test_the_largest_errors_of_all_scenes_come_first():
    joint = joint_errors([errors_of(10, 30), errors_of(20)], ["a", "b"])
    assert joint.places["rank"].tolist() == [1, 2, 3]
    assert joint.places["scene"].tolist() == ["a", "b", "a"]
    assert joint.places["area_m2"].is_monotonic_decreasing
    assert joint.missed["scene"].tolist() == ["a", "a", "b"]
    assert joint.right.empty
    assert "scene" in joint.right
    few = joint_errors([errors_of(10, 30), errors_of(20)], ["a", "b"], most_places=2)
    assert few.places["scene"].tolist() == ["a", "b"]


def test_errors_of_lines_are_joined_where_scenes_have_some():
    pairs = [
        pair_lines(roads(), roads([(0, 0), (length_m, 0)]), CLASSES[:1]) for length_m in (200, 500)
    ]
    nothing = Objects(np.empty(0, dtype=object), np.empty(0, np.int64))
    short, long = (
        map_errors(
            nothing, nothing, CLASSES[:1], PLANE, PLANE, lines=line_errors(p, {1: 6.0}, PLANE)
        )
        for p in pairs
    )
    joint = joint_errors([short, errors_of(10), long], ["a", "b", "c"])
    assert joint.lines.missed["scene"].tolist() == ["a", "c"]
    assert joint.lines.missed["length_m"].tolist() == [200.0, 500.0]
    assert joint.lines.breaks.empty
    assert joint.places["scene"].tolist() == ["c", "a", "b"]
    assert joint.places["rank"].tolist() == [1, 2, 3]
    assert set(joint.layers) == set(long.layers)
    assert all("scene" in frame for name, frame in joint.layers.items())
    assert joint_errors([errors_of(10), errors_of(20)], ["a", "b"]).lines is None


def grid(left, top, crs=PLANE, shape=(200, 100), res=1.0):
    return GeoGrid(crs, Affine(res, 0, WEST + left, 0, -res, NORTH - top), shape)


def test_ground_that_two_scenes_show_is_found_with_its_size():
    found = shared_ground([grid(0, 0), grid(90, 0), grid(5000, 0)])
    assert [(s.first, s.second) for s in found] == [(0, 1)]
    assert found[0].area_m2 == pytest.approx(2000, rel=2e-3)
    assert found[0].share == pytest.approx(0.1, abs=1e-4)


@pytest.mark.parametrize("left", [100, 100.4, 99.6])
def test_neighbors_do_not_overlap(left):
    assert shared_ground([grid(0, 0), grid(left, 0)]) == []


def test_scenes_of_different_crs_overlap_where_they_do_on_the_ground():
    to_degrees = Transformer.from_crs(PLANE, 4326, always_xy=True)
    lon, lat = to_degrees.transform(WEST, NORTH)
    degrees = GeoGrid(CRS.from_epsg(4326), Affine(1e-5, 0, lon, 0, -1e-5, lat), (100, 100))
    (found,) = shared_ground([grid(0, 0), degrees])
    side = gpd.GeoSeries([shapely.box(*degrees.bounds)], crs=4326).to_crs(PLANE)
    wanted = shapely.intersection(side.iloc[0], shapely.box(*grid(0, 0).bounds)).area
    assert found.area_m2 == pytest.approx(wanted, rel=2e-3)
