"""Labels and surveys for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import rasterio.features
import shapely

from geocobot.bands import BandRange
from geocobot.data.survey import Survey, survey_scene
from geocobot.grid import GeoGrid
from geocobot.io.burnt import BurntShapes
from geocobot.io.label_raster import LabelRaster
from geocobot.io.scene import Scene


def blobs(shape_hw: tuple[int, int], n_classes: int = 1, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Class numbers (H, W): blobs of every class on a background."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, n_classes + 1, (-(-shape_hw[0] // 16), -(-shape_hw[1] // 16)))
    fine = np.kron(coarse, np.ones((16, 16))).astype(np.uint8)
    return fine[: shape_hw[0], : shape_hw[1]]


def burnt(numbers: npt.NDArray[np.uint8], grid: GeoGrid) -> LabelRaster:
    """Labels that burn to given class numbers, pixel by pixel."""
    found = [
        (shapely.geometry.shape(outline), number)
        for outline, number in rasterio.features.shapes(numbers, mask=numbers > 0)
    ]
    found.sort(key=lambda pair: pair[1])
    shapes = np.array([shape for shape, _ in found], dtype=object)
    burnt_shapes = BurntShapes(shapes, np.array([n for _, n in found], dtype=np.uint8))
    return LabelRaster(grid, burnt_shapes)


def ranges_of(scene: Scene) -> Sequence[BandRange]:
    """Ranges as wide as the random scenes."""
    return [
        BandRange(band, name, scene.dtype, 1.0, 200.0)
        for band, name in zip(scene.bands, scene.band_names, strict=True)
    ]


@pytest.fixture
def make_survey(scene_factory: Callable[..., Path]) -> Callable[..., Survey]:
    """Survey a scene of a given size with random blobs; a mask makes pixels invalid."""

    def make(
        shape_hw: tuple[int, int],
        *,
        numbers: npt.NDArray[np.uint8] | None = None,
        name: str = "scene.tif",
        **options: object,
    ) -> Survey:
        scene = Scene.open(scene_factory(name, shape_hw=shape_hw, **options))
        chosen = blobs(shape_hw) if numbers is None else numbers
        return survey_scene(scene, burnt(chosen, scene.grid))

    return make
