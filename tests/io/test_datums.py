"""What is said of datums that PROJ cannot place well on each other."""

from __future__ import annotations

import pytest
from affine import Affine
from pyproj import CRS, Transformer

from geocobot.grid import GeoGrid
from geocobot.io.datums import tell_of_shift


def grid_at(lon, lat, crs="EPSG:4326", res_m=0.5):
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(lon, lat)
    res = res_m / (1 if CRS(crs).is_projected else 111_000)
    return GeoGrid(CRS(crs), Affine(res, 0, x, 0, -res, y), (100, 100))


@pytest.mark.parametrize(
    ("crs", "place"),
    [
        ("EPSG:4326", (-115.2, 36.1)),
        ("EPSG:32611", (-115.2, 36.1)),
        ("EPSG:3857", (32.5, 0.3)),
        ("EPSG:31370", (4.4, 50.8)),
        ("EPSG:27572", (2.3, 46.0)),
    ],
)
def test_well_known_shifts_are_no_reason_to_talk(crs, place, caplog):
    tell_of_shift(CRS(crs), grid_at(*place, res_m=10), "roads.shp", "scene")
    assert not caplog.messages


def test_a_guess_is_told(caplog):
    tell_of_shift(CRS("+proj=longlat +ellps=intl +no_defs"), grid_at(10, 50), "roads.shp", "scene")
    (said,) = caplog.messages
    assert said.startswith("roads.shp: PROJ knows no shift from its datum (a CRS without a name)")
    assert "hundreds of metres off" in said


def test_a_missing_grid_is_told_where_it_matters(caplog):
    """NAD27 to WGS 84 is good to some metres, with the grid to less than one."""
    tell_of_shift(CRS("EPSG:4267"), grid_at(-115.2, 36.1, res_m=30), "roads.shp", "scene")
    assert not caplog.messages
    tell_of_shift(CRS("EPSG:4267"), grid_at(-115.2, 36.1), "roads.shp", "scene")
    if caplog.messages:  # PROJ has found its grids where none is said
        assert "m off on scene, because the grid for the shift" in caplog.text


def test_the_same_crs_needs_no_shift(caplog):
    grid = grid_at(10, 50)
    tell_of_shift(grid.crs, grid, "roads.shp", "scene")
    assert not caplog.messages
