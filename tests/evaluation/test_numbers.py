import json

import numpy as np
import shapely

from geocobot.classes import name_classes
from geocobot.evaluation.lines import RoadLines, pair_lines, score_lines
from geocobot.evaluation.numbers import as_numbers
from geocobot.evaluation.objects import Objects, score_objects

CLASSES = name_classes(["roof"])


def test_what_follows_from_scores_is_there_and_all_of_it_is_json():
    roof = Objects(np.array([shapely.box(0, 0, 9, 9)], dtype=object), np.array([1]))
    found = json.loads(json.dumps(as_numbers(score_objects(roof, roof, CLASSES)), allow_nan=False))
    assert found["mean_f1"] == 1
    (part,) = found["classes"]
    assert (part["name"], part["by_iou"][0]["f1"], part["by_iou"][0]["found"]) == ("roof", 1, 1)
    assert part["sizes"][-1]["high_m2"] is None
    assert part["sizes"][1]["count_error"] == 0


def test_roads_too():
    road = RoadLines(np.array([shapely.LineString([(0, 0), (99, 0)])], dtype=object), np.array([1]))
    found = json.loads(
        json.dumps(as_numbers(score_lines(pair_lines(road, road, CLASSES))), allow_nan=False)
    )
    (part,) = found["classes"]
    assert (part["quality"], part["apls"]["value"], part["breaks"]) == (1, 1, 0)
