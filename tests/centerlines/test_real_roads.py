"""Centerlines of real roads, drawn with a width and found again."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import rasterio.features
import shapely

from geocobot.centerlines.cleaning import conflicts
from geocobot.io.scene import Scene

from .rasters import in_pixels, trace


@pytest.mark.parametrize("width_m", [2.4, 4.8, 7.2])
def test_centerlines_of_buffered_lines_are_these_lines(real_data, width_m):
    grid = Scene.open(real_data / "vegas_roads" / "scene.tif").grid
    lines = gpd.read_file(real_data / "vegas_roads" / "roads.geojson").to_crs(grid.crs)
    given = in_pixels(lines, grid.transform)
    pixel_m = np.array(grid.ground_pixel_m)
    buffered = shapely.buffer(shapely.transform(given, lambda xy: xy * pixel_m), width_m / 2)
    area = shapely.transform(shapely.union_all(buffered), lambda xy: xy / pixel_m)
    labels = rasterio.features.rasterize([(area, 1)], out_shape=grid.shape, dtype="uint8")

    frame = trace(labels, grid=grid, simplify_m=0.5)

    drawn = in_pixels(frame, grid.transform)
    within = shapely.box(0, 0, grid.width, grid.height)
    reference = shapely.intersection(shapely.union_all(given), within)
    points = shapely.points(shapely.get_coordinates(shapely.segmentize(drawn, 1.0)))
    away_px = shapely.distance(points, reference)
    missed = shapely.points(shapely.get_coordinates(shapely.segmentize(reference, 1.0)))
    missed_px = shapely.distance(missed, shapely.union_all(drawn))
    assert np.median(away_px) < 0.5
    assert np.percentile(away_px, 95) < 2.5
    assert np.percentile(missed_px, 95) < 2.5
    reference_m = shapely.length(shapely.transform(reference, lambda xy: xy * pixel_m))
    assert frame["length_m"].sum() == pytest.approx(reference_m, rel=0.02)
    mean_m = np.average(frame["width_m"], weights=frame["length_m"])
    assert mean_m == pytest.approx(width_m, rel=0.01)
    assert not conflicts(np.asarray(frame.geometry)).any()
