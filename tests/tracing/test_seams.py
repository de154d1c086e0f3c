from __future__ import annotations

import numpy as np
import shapely

from geocobot.tracing.blocks import recut
from geocobot.tracing.holes import HoleFilling
from geocobot.tracing.seams import SeamJoiner
from geocobot.tracing.trace import trace_block

from .rasters import CLASSES, cut, grid_of, parse, trace


def join(labels: np.ndarray, rows: int) -> list:
    grid = grid_of(labels)
    joiner = SeamJoiner(grid.width)
    blocks = recut(cut(labels, (1,)), grid, CLASSES, rows, HoleFilling(grid, 0))
    return [joiner.add(block, trace_block(block)).outlines() for block in blocks]


def test_a_polygon_comes_out_with_the_block_that_closes_it():
    completed = join(parse("1..\n1.2\n1..\n...\n..1"), rows=1)
    assert [o.class_number.tolist() for o in completed] == [[], [2], [1], [], [1]]
    assert completed[2].pixels.tolist() == [3]
    assert completed[2].first_px.tolist() == [[0, 0]]
    assert completed[2].scores.total.tolist() == [3 * 190]  # 0.75 in steps, rounded


def test_branches_that_meet_below_become_one_polygon():
    completed = join(parse("1.1.1\n1.1.1\n11111\n....."), rows=1)
    (outlines,) = [o for o in completed if len(o.geometry)]
    assert outlines.pixels.tolist() == [11]
    assert outlines.first_px.tolist() == [[0, 0]]
    assert outlines.geometry[0].area == 11


def test_seams_leave_no_vertex_behind():
    labels = np.ones((50, 3), dtype=np.uint8)
    (outlines,) = [o for o in join(labels, rows=4) if len(o.geometry)]
    assert shapely.get_num_coordinates(outlines.geometry[0]) == 5


def test_a_long_object_is_joined_once(monkeypatch):
    joined = []
    union = shapely.coverage_union_all

    def counted(pieces):
        joined.append(len(pieces))
        return union(pieces)

    monkeypatch.setattr(shapely, "coverage_union_all", counted)
    frame = trace(np.ones((120, 4), dtype=np.uint8), block_rows=2)
    assert len(frame) == 1
    assert joined == [60]
