"""Objects, by hand, by law, and beside pycocotools and torchmetrics on the same arrays."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pytest
import shapely
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from rasterio.features import rasterize
from torchmetrics.detection import PanopticQuality

from geocobot.classes import name_classes
from geocobot.evaluation.matching import Overlaps, match
from geocobot.evaluation.objects import IOU_THRESHOLDS, Objects, score_objects
from geocobot.evaluation.plane import plane_around

CLASSES = name_classes(["roof", "tree"])
SIDE = 64

corners = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(2, 20), st.integers(2, 20))
boxes = st.lists(st.tuples(corners, st.integers(1, 2)), max_size=8)


def objects(*given_boxes, scores=None, shift=(0, 0)):
    """Boxes (left, top, width, height), each with its class."""
    polygons = [
        shapely.box(x + shift[0], y + shift[1], x + shift[0] + w, y + shift[1] + h)
        for (x, y, w, h), _ in given_boxes
    ]
    numbers = np.array([number for _, number in given_boxes], dtype=np.int64)
    return Objects(np.array(polygons, dtype=object), numbers, scores)


def one_class(*given_boxes, scores=None):
    scores = None if scores is None else np.array(scores, dtype=np.float64)
    return objects(*((box, 1) for box in given_boxes), scores=scores)


def scored(predicted, truth, **options):
    return score_objects(predicted, truth, CLASSES[:1], **options).classes[0]


def test_by_hand():
    truth = one_class((0, 0, 10, 10), (20, 0, 10, 10), (40, 0, 10, 10))
    # The first as it is, of the second 8 of 10 columns, and one where there is nothing.
    predicted = one_class((0, 0, 10, 10), (20, 0, 8, 10), (0, 40, 5, 5), (30, 40, 5, 5))
    scores = scored(predicted, truth)
    half = scores.by_iou[0]
    assert (half.iou, half.found, half.false, half.missed) == (0.5, 2, 2, 1)
    assert (half.precision, half.recall) == (0.5, pytest.approx(2 / 3))
    assert half.f1 == pytest.approx(4 / 7)
    assert [d.found for d in scores.by_iou] == [2] * 7 + [1] * 3
    assert scores.panoptic.sq == pytest.approx(0.9)
    assert scores.panoptic.rq == pytest.approx(4 / 7)
    assert scores.panoptic.pq == pytest.approx(0.9 * 4 / 7)


def test_exactly_half_is_found_but_has_no_panoptic_quality():
    scores = scored(one_class((0, 0, 10, 10)), one_class((0, 0, 10, 5)))
    assert scores.by_iou[0].found == 1
    assert (scores.panoptic.rq, scores.panoptic.pq, scores.panoptic.sq) == (0.0, 0.0, None)


@pytest.mark.parametrize("off", [-1e-9, 0.0, 1e-9])
def test_half_but_for_rounding_is_half(off):
    scores = scored(one_class((0, 0, 10, 10)), one_class((0, 0, 10, 5 + off)))
    assert [d.found for d in scores.by_iou[:2]] == [1, 0]
    assert scores.panoptic.rq == 0.0


@pytest.mark.parametrize("off", [-1e-9, 0.0, 1e-9])
def test_what_is_half_inside_is_judged_and_what_touches_is_no_object_there(off):
    both = one_class((15 + off, 0, 10, 10), (20 - 1e-6, 20, 10, 10))
    scores = score_objects(both, both, CLASSES[:1], area=shapely.box(0, 0, 20, 60))
    assert (scores.classes[0].by_iou[0].found, scores.truth_left_out) == (1, 0)


def test_equal_polygons_overlap_by_no_more_than_all():
    dice = np.random.default_rng(0)
    stars = [shapely.Point(*dice.normal(0, 1e5, 2)).buffer(r) for r in dice.uniform(1, 9, 300)]
    given_stars = np.array(stars, dtype=object)
    assert Overlaps.between(given_stars, given_stars).iou.max() == 1.0


def test_the_best_scored_takes_first_even_where_another_overlaps_more():
    truth = one_class((0, 0, 10, 10))
    predicted = one_class((0, 0, 10, 10), (0, 0, 10, 8), scores=[0.6, 0.9])
    pairs = Overlaps.between(predicted.polygons, truth.polygons)
    assert pairs.predicted[match(pairs, predicted.scores)].tolist() == [1]
    assert pairs.predicted[match(pairs)].tolist() == [0]
    assert scored(predicted, truth).by_iou[0].average_precision == 1.0
    # From 0.85 on the best scored one is wrong, and comes first.
    assert scored(predicted, truth).by_iou[-1].average_precision == 0.5


def test_polygons_that_touch_do_not_overlap():
    pairs = Overlaps.between(
        one_class((0, 0, 10, 10)).polygons, one_class((10, 0, 10, 10)).polygons
    )
    assert len(pairs.iou) == 0


def test_sizes_are_counted_by_their_own_class():
    truth = one_class((0, 0, 3, 3), (10, 0, 10, 10), (30, 0, 20, 30))
    predicted = one_class((10, 0, 10, 9), (30, 0, 20, 30), (0, 40, 10, 10))
    tiny, small, middle, large, huge = scored(predicted, truth).sizes
    assert (tiny.truth, tiny.predicted, tiny.missed, tiny.count_error) == (1, 0, 1, -1)
    assert tiny.area_error_m2 == -9
    assert (small.predicted, small.truth) == (1, 0)
    assert small.count_error == 1
    assert (middle.truth, middle.predicted, middle.false, middle.missed) == (1, 1, 1, 0)
    assert (large.truth_m2, large.predicted_m2, large.area_error_m2) == (600, 600, 0)
    assert (huge.truth, huge.predicted) == (0, 0)


def test_what_lies_outside_of_the_judged_area_is_cut_off_both():
    area = shapely.box(0, 0, 20, 60)
    # Half of the first lies inside: judged by that half, in which the prediction is perfect.
    truth = one_class((15, 0, 10, 10), (18, 20, 10, 10), (40, 0, 10, 10))
    predicted = one_class((15, 0, 5, 10), (40, 40, 9, 9))
    scores = score_objects(predicted, truth, CLASSES[:1], area=area)
    half = scores.classes[0].by_iou[-1]
    assert (half.found, half.false, half.missed) == (1, 0, 0)
    assert (scores.truth_left_out, scores.predicted_left_out) == (1, 0)


def test_what_matches_an_object_that_is_not_judged_is_not_judged_either():
    area = shapely.box(0, 0, 20, 60)
    truth, predicted = one_class((18, 20, 10, 10)), one_class((18, 20, 2, 10))
    for a, b in ((predicted, truth), (truth, predicted)):
        half = score_objects(a, b, CLASSES[:1], area=area).classes[0].by_iou[0]
        assert (half.found, half.false, half.missed) == (0, 0, 0)


def test_a_side_that_lies_on_the_border_of_the_judged_area_is_no_trouble():
    # One arm reaches into the area, another one only touches it.
    fork = shapely.union_all(
        [shapely.box(10, 0, 14, 20), shapely.box(8, 0, 11, 5), shapely.box(10, 15, 14, 20)]
    )
    touching = shapely.union_all([fork, shapely.box(14, 0, 20, 20)])
    predicted = Objects(np.array([touching], dtype=object), np.array([1]))
    scores = score_objects(predicted, predicted, CLASSES[:1], area=shapely.box(0, 0, 10, 30))
    assert (scores.truth_left_out, scores.predicted_left_out) == (1, 1)
    wide = score_objects(predicted, predicted, CLASSES[:1], area=shapely.box(0, 0, 19, 30))
    assert wide.classes[0].by_iou[0].f1 == 1


def test_features_become_objects():
    shapes = [
        shapely.MultiPolygon([shapely.box(0, 0, 5, 5), shapely.box(9, 9, 12, 12)]),
        shapely.LineString([(0, 0), (9, 9)]),
    ]
    frame = gpd.GeoDataFrame({"class_id": [2, 1], "score": [0.5, 0.7]}, geometry=shapes, crs=32633)
    frame.geometry = frame.translate(500_000, 5_000_000)
    found = Objects.of(frame, plane_around([frame]), "x.gpkg")
    assert found.classes.tolist() == [2, 2]
    assert found.scores.tolist() == [0.5, 0.5]
    # A metre of UTM's middle meridian is 0.9996 m on the map.
    assert shapely.area(found.polygons) == pytest.approx([25 / 0.9996**2, 9 / 0.9996**2], rel=1e-5)
    assert Objects.of(frame.assign(score=np.nan), plane_around([frame]), "x").scores is None
    assert Objects.of(frame[["class_id", "geometry"]], plane_around([frame]), "x").scores is None


def test_classes_are_apart():
    truth, predicted = objects(((0, 0, 9, 9), 1)), objects(((0, 0, 9, 9), 2))
    scores = score_objects(predicted, truth, CLASSES)
    assert [c.by_iou[0].f1 for c in scores.classes] == [0.0, 0.0]
    assert (scores.mean_f1, scores.mean_pq) == (0.0, 0.0)


def test_no_objects_have_no_scores():
    none = one_class()
    scores = score_objects(none, none, CLASSES)
    assert (scores.mean_f1, scores.mean_pq, scores.mean_f1_by_iou) == (None, None, None)
    assert scores.classes[0].panoptic.pq is None


def test_nothing_mapped_and_nothing_labelled():
    some, none = one_class((0, 0, 9, 9)), one_class()
    missed, false = scored(none, some).by_iou[0], scored(some, none).by_iou[0]
    assert (missed.precision, missed.recall, missed.f1) == (None, 0.0, 0.0)
    assert (false.precision, false.recall, false.f1) == (0.0, None, 0.0)
    assert scored(none, some).panoptic.pq == 0.0


def without_overlaps(found):
    """Those boxes that overlap none before them: labels do not lie on each other."""
    kept = []
    for box, number in found:
        shape = shapely.box(box[0], box[1], box[0] + box[2], box[1] + box[3])
        if all(not shape.intersects(other) for other, _, _ in kept):
            kept.append((shape, box, number))
    return [(box, number) for _, box, number in kept]


@given(boxes)
def test_a_perfect_map_scores_1_everywhere(found):
    truth = objects(*without_overlaps(found))
    scores = score_objects(truth, truth, CLASSES)
    for part in scores.classes:
        if (truth.classes == (part.name == "tree") + 1).any():
            assert all(d.precision == d.recall == d.f1 == 1 for d in part.by_iou)
            assert (part.panoptic.sq, part.panoptic.rq, part.panoptic.pq) == (1, 1, 1)
        assert all(s.count_error == 0 == s.area_error_m2 for s in part.sizes)


@given(boxes, boxes)
def test_swapping_map_and_labels_swaps_precision_and_recall(one, other):
    a, b = objects(*one), objects(*other)
    there, back = score_objects(a, b, CLASSES), score_objects(b, a, CLASSES)
    for x, y in zip(there.classes, back.classes, strict=True):
        for p, q in zip(x.by_iou, y.by_iou, strict=True):
            assert (p.precision, p.recall, p.f1) == (q.recall, q.precision, q.f1)
        assert x.panoptic == y.panoptic
        for p, q in zip(x.sizes, y.sizes, strict=True):
            assert p.count_error == -q.count_error
            assert p.area_error_m2 == pytest.approx(-q.area_error_m2)


@given(boxes, boxes, st.randoms(), st.booleans())
def test_order_does_not_matter(one, other, dice, is_scored):
    scores = np.round(np.linspace(0.5, 1, len(one)), 1) if is_scored else None
    mixed = dice.sample(range(len(one)), len(one))
    turned = dice.sample(other, len(other))
    a = objects(*one, scores=scores)
    b = objects(*(one[i] for i in mixed), scores=scores[mixed] if is_scored else None)
    assert score_objects(a, objects(*other), CLASSES) == score_objects(b, objects(*turned), CLASSES)


# So alike that overlaps, places and scores tie.
alike = st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(6, 8), st.integers(6, 8))
crowds = st.lists(alike, max_size=6)


@given(crowds, crowds, st.randoms(), st.lists(st.sampled_from([0.5, 0.9]), min_size=6, max_size=6))
def test_the_order_in_a_file_does_not_matter_where_scores_tie(one, other, dice, scores):
    mixed, turned = dice.sample(range(len(one)), len(one)), dice.sample(other, len(other))
    area = shapely.box(0, 0, 6, 9)
    sides = [
        (one_class(*one, scores=scores[: len(one)]), one_class(*other)),
        (
            one_class(*(one[i] for i in mixed), scores=[scores[i] for i in mixed]),
            one_class(*turned),
        ),
    ]
    here, there = (
        [
            score_objects(*side, CLASSES[:1], area=a, size_edges_m2=(0, 40, 50, 99))
            for a in (None, area)
        ]
        for side in sides
    )
    assert here == there


def test_of_two_with_the_same_score_and_overlap_neither_is_asked_by_its_place_in_the_file():
    truth = one_class((0, 0, 10, 10), (0, 2, 10, 12))
    # Both overlap the first by 0.8; only the second could take the other one.
    found = (0, 0, 10, 8), (0, 2, 10, 8)
    there, back = (one_class(*f, scores=[0.7, 0.7]) for f in (found, found[::-1]))
    assert scored(there, truth) == scored(back, truth)


@given(boxes, boxes, st.tuples(st.integers(-1000, 1000), st.integers(-1000, 1000)))
def test_place_does_not_matter(one, other, shift):
    here = score_objects(objects(*one), objects(*other), CLASSES)
    there = score_objects(objects(*one, shift=shift), objects(*other, shift=shift), CLASSES)
    assert here == there


@given(boxes, boxes)
def test_panoptic_quality_is_overlap_times_recognition(one, other):
    for part in score_objects(objects(*one), objects(*other), CLASSES).classes:
        pan = part.panoptic
        if pan.sq is not None:
            assert pan.pq == pytest.approx(pan.sq * pan.rq)
        else:
            assert pan.pq in (None, 0.0)


@given(boxes, boxes)
def test_found_objects_are_fewer_at_larger_overlaps(one, other):
    for part in score_objects(objects(*one), objects(*other), CLASSES).classes:
        found = [d.found for d in part.by_iou]
        assert found == sorted(found, reverse=True)
        assert len({d.found + d.missed for d in part.by_iou}) == 1


@settings(max_examples=60)
@given(boxes, boxes, st.integers(0, 2**31))
def test_scores_are_those_of_pycocotools(one, other, seed):
    rng = np.random.default_rng(seed)
    truth = objects(*other)
    predicted = objects(*one, scores=rng.permutation(len(one)) / 10 + 0.1)
    ours = score_objects(predicted, truth, CLASSES)
    theirs = coco_evaluation(predicted, truth)
    for k, part in enumerate(ours.classes):
        n_truth = int((truth.classes == k + 1).sum())
        for t, score in enumerate(part.by_iou):
            # pycocotools says -1 where there is nothing to be found.
            if not n_truth:
                assert theirs["recall"][t, k, 0, 0] == -1
                assert score.average_precision is None
                continue
            assert score.recall == pytest.approx(theirs["recall"][t, k, 0, 0], abs=1e-6)
            expected = theirs["precision"][t, :, k, 0, 0].mean()
            assert score.average_precision == pytest.approx(expected, abs=1e-6)


def coco_evaluation(predicted, truth):
    """What pycocotools makes of the same objects as masks."""
    masks = [
        [
            coco_mask.encode(
                np.asfortranarray(rasterize([shape], out_shape=(SIDE, SIDE), dtype="uint8"))
            )
            for shape in side.polygons
        ]
        for side in (truth, predicted)
    ]
    labels = [
        {"id": i, "image_id": 1, "category_id": int(c), "segmentation": m, "iscrowd": 0, "area": 1}
        for i, (m, c) in enumerate(zip(masks[0], truth.classes, strict=True), start=1)
    ]
    found = [
        {"id": i, "image_id": 1, "category_id": int(c), "segmentation": m, "score": float(s)}
        | {"area": 1, "bbox": [0, 0, 1, 1], "iscrowd": 0}
        for i, (m, c, s) in enumerate(
            zip(masks[1], predicted.classes, predicted.scores, strict=True), start=1
        )
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(coco_of(labels), coco_of(found), "segm")
        evaluation.params.iouThrs = np.array(IOU_THRESHOLDS)
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [1000]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval


def coco_of(annotations):
    data = COCO()
    data.dataset = {
        "images": [{"id": 1, "height": SIDE, "width": SIDE}],
        "categories": [{"id": spec.number, "name": spec.name} for spec in CLASSES],
        "annotations": annotations,
    }
    data.createIndex()
    return data


@given(boxes, boxes)
def test_panoptic_quality_is_that_of_torchmetrics(one, other):
    one, other = without_overlaps(one), without_overlaps(other)
    metric = PanopticQuality(
        things={1, 2}, stuffs={0}, return_sq_and_rq=True, return_per_class=True
    )
    theirs = metric(panoptic_image(one), panoptic_image(other))
    ours = score_objects(objects(*one), objects(*other), CLASSES)
    for k, part in enumerate(ours.classes):
        numbers = (part.panoptic.pq, part.panoptic.sq, part.panoptic.rq)
        expected = theirs[k].tolist()
        assert [v or 0.0 for v in numbers] == pytest.approx(expected, abs=1e-6)


def panoptic_image(found):
    """Class and number of the object of every pixel (1, SIDE, SIDE, 2)."""
    image = np.zeros((1, SIDE, SIDE, 2), dtype=np.int64)
    for i, ((x, y, w, h), number) in enumerate(found, start=1):
        image[0, y : y + h, x : x + w] = number, i
    return torch.from_numpy(image)


def test_other_size_classes():
    scores = scored(one_class((0, 0, 9, 9)), one_class(), size_edges_m2=(0, 81, 100))
    assert [s.predicted for s in scores.sizes] == [0, 1]


def test_a_hole_counts_as_outside():
    ring = shapely.box(0, 0, 10, 10) - shapely.box(1, 1, 9, 9)
    truth = one_class((0, 0, 10, 10))
    predicted = replace(truth, polygons=np.array([ring], dtype=object))
    assert scored(predicted, truth).by_iou[0].found == 0
