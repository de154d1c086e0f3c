"""Labels that lie beside what they show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geocobot.data.survey import survey_scene
from geocobot.inspection.shift import SEARCHED_PX, Shift, estimate_shift
from geocobot.io.label_files import read_labels
from geocobot.io.labels import FeatureLabels
from geocobot.io.scene import Scene

WEST, NORTH = 500_000.0, 5_000_000.0
SIDE = 640


def roofs(seed: int = 0) -> list[tuple[int, int, int, int]]:
    """Columns and rows of rectangles that keep apart."""
    rng = np.random.default_rng(seed)
    return [
        (
            64 * k + int(rng.integers(8, 24)),
            64 * n + int(rng.integers(8, 24)),
            *rng.integers(16, 34, 2),
        )
        for k in range(SIDE // 64)
        for n in range(SIDE // 64)
    ]


def town(noise: float, seed: int = 0) -> np.ndarray:
    """Bright roofs on dark ground."""
    rng = np.random.default_rng(seed)
    image = np.full((3, SIDE, SIDE), 80.0)
    for col, row, width, height in roofs():
        image[:, row : row + height, col : col + width] = rng.uniform(110, 200)
    return np.clip(image + noise * rng.standard_normal(image.shape), 1, 255).astype(np.uint8)


def drawn(dx: float = 0.0, dy: float = 0.0) -> list[shapely.Polygon]:
    """The roofs as somebody drew them, so many pixels to the east and to the south."""
    return [
        shapely.box(
            WEST + col + dx, NORTH - row - height - dy, WEST + col + width + dx, NORTH - row - dy
        )
        for col, row, width, height in roofs()
    ]


def measure(scene: Path, labels: Path, seed: int = 0) -> Shift | None:
    opened = Scene.open(scene)
    raster = read_labels([labels]).on(opened.grid, opened.name)
    return estimate_shift(opened, raster, survey_scene(opened, raster), seed)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(dx=st.floats(-12, 12), dy=st.floats(-12, 12))
def test_a_planted_shift_is_found(scene_factory, labels_factory, dx, dy):
    scene = scene_factory(image=town(20.0))
    shift = measure(scene, labels_factory(drawn(dx, dy)))
    assert shift.is_certain
    assert (shift.east_px, shift.south_px) == (
        pytest.approx(dx, abs=0.7),
        pytest.approx(dy, abs=0.7),
    )
    # Pixels of one metre of UTM: on the ground as many metres, to the north what is not south.
    assert shift.east_m == pytest.approx(shift.east_px, rel=1e-3)
    assert shift.north_m == pytest.approx(-shift.south_px, rel=1e-3)


def test_labels_that_fit_are_not_worth_naming(scene_factory, labels_factory):
    shift = measure(scene_factory(image=town(20.0)), labels_factory(drawn()))
    assert shift.is_certain
    assert not shift.is_worth_naming
    assert measure(scene_factory(image=town(20.0)), labels_factory(drawn(4))).is_worth_naming


def test_noise_alone_agrees_on_nothing(scene_factory, labels_factory):
    rng = np.random.default_rng(5)
    noise = rng.integers(1, 255, (3, SIDE, SIDE)).astype(np.uint8)
    shift = measure(scene_factory(image=noise), labels_factory(drawn()))
    assert not shift.is_certain
    assert not shift.is_worth_naming
    assert shift.in_words() == "not clear: 9 places do not agree on any shift of the labels"


def test_a_shift_beyond_what_is_searched_is_not_taken_for_certain(scene_factory, labels_factory):
    shift = measure(scene_factory(image=town(5.0)), labels_factory(drawn(SEARCHED_PX + 14)))
    assert shift is None or not shift.is_worth_naming


@pytest.mark.parametrize(
    "image", [np.full((3, SIDE, SIDE), 7, np.uint8), np.zeros((3, SIDE, SIDE), np.uint8)]
)
def test_a_flat_image_tells_nothing(scene_factory, labels_factory, image):
    assert measure(scene_factory(image=image), labels_factory(drawn())) is None


def test_few_places_tell_nothing(scene_factory, labels_factory):
    assert measure(scene_factory(image=town(5.0)), labels_factory(drawn()[:1])) is None


def test_what_has_no_data_has_no_edges(scene_factory, labels_factory):
    """A border along every roof, a few pixels beside it, that is only one of nodata."""
    image = town(20.0)
    for col, row, width, _ in roofs():
        image[:, max(0, row - 6) : row - 4, col : col + width] = 0
    shift = measure(scene_factory(image=image, nodata=0), labels_factory(drawn()))
    assert abs(shift.south_px) < 0.7


def test_the_words_name_directions():
    shift = Shift(3.0, -2.0, 1.5, 1.0, 0.2, 20, is_certain=True)
    assert shift.in_words() == (
        "about 1.50 m east and 1.00 m north of the edges in the image (3.6 px, give or take 0.2, "
        "at 20 places)"
    )
    assert "1.50 m west and 1.00 m south" in replace(shift, east_m=-1.5, north_m=-1.0).in_words()


class TestRealScenes:
    """Roofs in Kampala, moved by hand."""

    @pytest.mark.parametrize("name", ["scene_a", "scene_b"])
    @pytest.mark.parametrize(("dx", "dy"), [(3, 0), (0, -3), (-2, 2)])
    def test_a_planted_shift_is_found_within_a_pixel(
        self, real_data: Path, name: str, dx: int, dy: int
    ) -> None:
        scene = Scene.open(real_data / "kampala_buildings" / f"{name}.tif")
        labels = read_labels([real_data / "kampala_buildings" / "labels.geojson"])
        assert isinstance(labels, FeatureLabels)
        features = labels.features.to_crs(scene.grid.crs)
        x, y = scene.grid.res_xy
        moved = features.set_geometry(features.translate(dx * x, -dy * y))
        found = []
        for frame in (features, moved):
            raster = replace(labels, features=frame).on(scene.grid, scene.name)
            shift = estimate_shift(scene, raster, survey_scene(scene, raster))
            assert shift is not None
            assert shift.is_certain
            found.append(shift)
        assert found[1].east_px == pytest.approx(dx, abs=1.0)
        assert found[1].south_px == pytest.approx(dy, abs=1.0)
        assert not found[0].is_worth_naming
        assert found[1].is_worth_naming


def test_the_same_seed_gives_the_same(scene_factory: Callable, labels_factory: Callable) -> None:
    scene, labels = scene_factory(image=town(40.0)), labels_factory(drawn(2))
    assert measure(scene, labels) == measure(scene, labels)
