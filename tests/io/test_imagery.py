from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import CRS
from rasterio.enums import ColorInterp

from geocobot.errors import OutputError
from geocobot.grid import GeoGrid
from geocobot.io.imagery import write_image

GRID = GeoGrid(CRS.from_epsg(32632), Affine(0.5, 0, 652000, 0, -0.5, 5402000), (40, 70))


@pytest.mark.parametrize(("dtype", "bands"), [("uint8", 3), ("uint16", 4), ("float32", 1)])
def test_an_image_reads_back_as_it_was(tmp_path: Path, dtype: str, bands: int) -> None:
    image = np.random.default_rng(0).integers(0, 200, (bands, 40, 70)).astype(dtype)
    write_image(tmp_path / "i.tif", image, GRID)
    with rasterio.open(tmp_path / "i.tif") as source:
        assert np.array_equal(source.read(), image)
        assert source.dtypes == (dtype,) * bands
        assert source.transform == GRID.transform
        assert source.crs.to_epsg() == 32632
        assert source.nodata is None


def test_three_bytes_are_colors_with_names_and_four_have_no_alpha(tmp_path: Path) -> None:
    names = ("red", "green", "blue")
    write_image(tmp_path / "rgb.tif", np.zeros((3, 40, 70), np.uint8), GRID, band_names=names)
    write_image(tmp_path / "four.tif", np.zeros((4, 40, 70), np.uint8), GRID)
    with rasterio.open(tmp_path / "rgb.tif") as source:
        assert source.descriptions == names
        assert [c.name for c in source.colorinterp] == list(names)
    with rasterio.open(tmp_path / "four.tif") as source:
        assert ColorInterp.alpha not in source.colorinterp


def test_an_image_smaller_than_a_tile_is_written(tmp_path: Path) -> None:
    grid = GeoGrid(GRID.crs, GRID.transform, (1, 5))
    write_image(tmp_path / "i.tif", np.ones((3, 1, 5), np.uint8), grid)
    with rasterio.open(tmp_path / "i.tif") as source:
        assert source.shape == (1, 5)


def test_an_image_of_another_shape_than_its_grid_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not fit the grid"):
        write_image(tmp_path / "i.tif", np.zeros((3, 4, 4), np.uint8), GRID)
    assert not list(tmp_path.iterdir())


def test_an_existing_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    image = np.zeros((3, 40, 70), np.uint8)
    write_image(tmp_path / "i.tif", image, GRID)
    with pytest.raises(OutputError, match="exists already"):
        write_image(tmp_path / "i.tif", image, GRID)
    write_image(tmp_path / "i.tif", image + 7, GRID, overwrite=True)
    with rasterio.open(tmp_path / "i.tif") as source:
        assert source.read().min() == 7
