"""Error maps of class rasters, traced: what they cover is what pixels count."""

from __future__ import annotations

import geopandas as gpd
import hypothesis.extra.numpy as hnp
import numpy as np
import pandas as pd
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS

from geocobot.classes import name_classes
from geocobot.evaluation.error_map import map_errors
from geocobot.evaluation.objects import Objects
from geocobot.evaluation.pixels import Confusion
from geocobot.evaluation.plane import plane_around
from geocobot.grid import GeoGrid
from geocobot.tiling import ClassStrip
from geocobot.tracing.polygonize import CleanOptions, polygonize

CLASSES = name_classes(["road", "roof"])
PIXEL_M = 2.0
GRID = GeoGrid(CRS.from_epsg(3035), Affine(PIXEL_M, 0, 4_400_000, 0, -PIXEL_M, 3_300_000), (7, 9))
"""In an equal-area projection: a pixel is as large on the map as on the ground."""

rasters = hnp.arrays(np.uint8, GRID.shape, elements=st.integers(0, 2))


def traced(labels):
    frames = list(polygonize([ClassStrip(0, labels)], GRID, CLASSES, CleanOptions()))
    if frames:
        return gpd.GeoDataFrame(pd.concat(frames, ignore_index=True), crs=GRID.crs)
    return gpd.GeoDataFrame({"class_id": []}, geometry=[], crs=GRID.crs)


@settings(max_examples=40)
@given(rasters, rasters)
def test_areas_are_those_of_the_pixels(predicted, truth):
    sides = [traced(labels) for labels in (predicted, truth)]
    if not any(map(len, sides)):
        return
    plane = plane_around(sides)
    objects = [Objects.of(side, plane, "traced") for side in sides]
    found = map_errors(*objects, CLASSES, plane, GRID.crs)
    confusion = Confusion(CLASSES)
    confusion.add(truth, predicted, np.ones(GRID.shape, dtype=bool))
    for k in (1, 2):
        hits = confusion.counts[k, k]
        expected = {
            "right": hits,
            "false": confusion.counts[:, k].sum() - hits,
            "missed": confusion.counts[k].sum() - hits,
        }
        for name, pixels in expected.items():
            frame = getattr(found, name)
            area_m2 = frame.loc[frame["class_id"] == k, "area_m2"].sum()
            assert area_m2 == pytest.approx(pixels * PIXEL_M**2, rel=1e-4, abs=1e-3)
