from __future__ import annotations

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geocobot.tracing.block import Block
from geocobot.tracing.trace import trace_block

from .rasters import class_rasters, parse


def block_of(labels: np.ndarray, above: str = "", below: str = "") -> Block:
    nothing = np.zeros(labels.shape[1], dtype=np.uint8)
    return Block(
        100,
        labels,
        np.where(labels > 0, 127, 0).astype(np.uint8),
        parse(above)[0] if above else nothing,
        parse(below)[0] if below else nothing,
        np.zeros((1, *labels.shape), dtype=np.uint8),
    )


def test_pieces_are_cut_at_the_seams():
    pieces = trace_block(block_of(parse("11.2"), above="1...", below="1112"))
    assert [p.bounds for p in pieces.geometry] == [(0, 100, 2, 101), (3, 100, 4, 101)]
    assert [p.bounds for p in pieces.neighbors] == [
        (0, 99, 1, 100),
        (0, 101, 3, 102),
        (3, 101, 4, 102),
    ]
    assert pieces.top.tolist() == pieces.bottom.tolist() == [0, 0, -1, 1]
    assert pieces.pixels.tolist() == [2, 1]
    assert pieces.scores.stats().total.tolist() == [254, 127]
    assert pieces.first_px.tolist() == [[100, 0], [100, 3]]
    # The row above ends at column 1: a seam vertex, so that both sides fit together.
    assert [1, 100] in shapely.get_coordinates(pieces.geometry[0]).tolist()


@settings(deadline=None)
@given(class_rasters(), st.data())
def test_pieces_and_neighbors_are_a_valid_coverage(labels, data):
    labels = np.where(labels == 255, 0, labels).astype(np.uint8)
    rows = st.lists(st.sampled_from("012"), min_size=labels.shape[1], max_size=labels.shape[1])
    above, below = ("".join(data.draw(rows)) for _ in range(2))
    pieces = trace_block(block_of(labels, above, below))
    everything = np.concatenate([pieces.geometry, pieces.neighbors])
    assert shapely.is_valid(everything).all()
    assert shapely.coverage_is_valid(everything)
    assert shapely.area(pieces.geometry).sum() == (labels > 0).sum()
    np.testing.assert_array_equal(shapely.area(pieces.geometry), pieces.pixels)


def test_a_block_without_classes_has_no_pieces():
    pieces = trace_block(block_of(parse("...\n...")))
    assert len(pieces.geometry) == len(pieces.neighbors) == len(pieces.pixels) == 0
    assert pieces.bottom.tolist() == [-1, -1, -1]
