"""Band ranges, and whether a scene fits a model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocobot.bands import BandRange, normalize
from geocobot.errors import BandError, ConfigError, PixelSizeError
from geocobot.io.scene import Scene
from geocobot.io.statistics import (
    _range_of,
    check_pixel_size,
    fit_scene,
    fixed_ranges,
    measure_ranges,
    open_scene_for,
)


def ranges_of(dtype="uint8", bands=(1, 2, 3)):
    return tuple(BandRange(b, f"band {b}", dtype, 0, 200) for b in bands)


class TestMeasure:
    def test_small_scene_is_measured_whole(self, scene_factory):
        image = np.random.default_rng(0).integers(0, 5000, (3, 300, 280)).astype("uint16")
        image[1] *= 3
        path = scene_factory(image=image, descriptions=("r", "g", "b"))
        ranges = measure_ranges([Scene.open(path)])
        assert [(r.band, r.name, r.dtype) for r in ranges] == [
            (1, "r", "uint16"),
            (2, "g", "uint16"),
            (3, "b", "uint16"),
        ]
        for measured, plane in zip(ranges, image, strict=True):
            np.testing.assert_allclose([measured.low, measured.high], np.percentile(plane, [2, 98]))

    def test_only_valid_pixels_count(self, scene_factory):
        image = np.full((3, 64, 64), -9999, "int16")
        image[:, :32] = np.random.default_rng(0).integers(100, 200, (3, 32, 64))
        for measured in measure_ranges([Scene.open(scene_factory(image=image, nodata=-9999))]):
            assert 100 <= measured.low < measured.high <= 200

    def test_two_standard_deviations_about_the_mean(self, scene_factory):
        image = np.random.default_rng(0).normal(500, 40, (3, 200, 200)).astype("float32")
        image[1] += 1000
        ranges = measure_ranges([Scene.open(scene_factory(image=image))], stretch="deviations")
        for measured, plane in zip(ranges, image.astype(np.float64), strict=True):
            low, high = plane.mean() - 2 * plane.std(), plane.mean() + 2 * plane.std()
            assert (measured.low, measured.high) == (pytest.approx(low), pytest.approx(high))

    @pytest.mark.parametrize("limits", [(0, 3000), (0, 3000, 5, 10, -2, 1.5)])
    def test_given_ranges_are_taken_as_they_are(self, scene_factory, limits):
        scene = Scene.open(scene_factory(dtype="uint16", descriptions=("r", "g", "b")))
        ranges = fixed_ranges([scene], limits)
        pairs = [(r.low, r.high) for r in ranges]
        assert pairs == ([(0, 3000)] * 3 if len(limits) == 2 else [(0, 3000), (5, 10), (-2, 1.5)])
        assert [(r.band, r.name, r.dtype) for r in ranges][2] == (3, "b", "uint16")

    @pytest.mark.parametrize(
        "limits", [(3000, 0), (5, 5), (0,), (0, 1, 0, 1), (0, 1, 2), (np.nan, 1)]
    )
    def test_given_ranges_that_are_none_are_refused(self, scene_factory, limits):
        with pytest.raises(ConfigError, match=r"--value-range is .* or so for each of 3"):
            fixed_ranges([Scene.open(scene_factory())], limits)

    def test_given_ranges_of_scenes_that_differ_are_refused(self, scene_factory):
        scenes = [Scene.open(scene_factory()), Scene.open(scene_factory("b.tif", dtype="int16"))]
        with pytest.raises(BandError, match="All scenes of a training need the same"):
            fixed_ranges(scenes, (0, 1))

    def test_large_scene_is_sampled_by_seed(self, scene_factory):
        rng = np.random.default_rng(0)
        image = rng.normal(1000, 50, (1, 2304, 2304)).astype("float32")
        scene = Scene.open(scene_factory(image=image), bands=[1])
        first = measure_ranges([scene], seed=1)
        assert first == measure_ranges([scene], seed=1)
        assert first != measure_ranges([scene], seed=2)
        assert first[0].low == pytest.approx(np.percentile(image, 2), abs=1)
        assert first[0].high == pytest.approx(np.percentile(image, 98), abs=1)

    def test_reads_a_bounded_number_of_windows(self, scene_factory, monkeypatch):
        scene = Scene.open(scene_factory(shape_hw=(2304, 2304), bands=1))
        windows = []
        real_read = Scene.read

        def read(self, window):
            windows.append(window)
            return real_read(self, window)

        monkeypatch.setattr(Scene, "read", read)
        measure_ranges([scene])
        assert len(windows) == 48
        assert len(set(windows)) == 48

    def test_the_only_corner_with_data_is_found(self, scene_factory):
        image = np.zeros((1, 2304, 2304), "uint8")
        image[0, -5:, -5:] = np.arange(25).reshape(5, 5) + 100
        scene = Scene.open(scene_factory(image=image, nodata=0), bands=[1])
        (measured,) = measure_ranges([scene])
        assert 100 <= measured.low < measured.high <= 124

    def test_scenes_are_pooled(self, scene_factory):
        dark = scene_factory("dark.tif", image=np.full((3, 64, 64), 10, "uint8"))
        bright = scene_factory("bright.tif", image=np.full((3, 64, 64), 200, "uint8"))
        for measured in measure_ranges([Scene.open(dark), Scene.open(bright)]):
            assert (measured.low, measured.high) == (10, 200)

    def test_all_nodata(self, scene_factory):
        scene = Scene.open(scene_factory(image=np.zeros((3, 64, 64), "uint8"), nodata=0))
        with pytest.raises(BandError, match=r"scene\.tif has no pixel with data.*--nodata"):
            measure_ranges([scene])

    def test_scenes_of_different_type(self, scene_factory):
        scenes = [
            Scene.open(scene_factory("a.tif")),
            Scene.open(scene_factory("b.tif", dtype="uint16")),
        ]
        with pytest.raises(BandError, match=r"b\.tif is read with bands .* of uint16.*of uint8"):
            measure_ranges(scenes)

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
    def test_constant_band_becomes_mid_gray(self, scene_factory, dtype):
        scene = Scene.open(scene_factory(image=np.full((3, 64, 64), 100, dtype)))
        ranges = measure_ranges([scene])
        patch = scene.read(scene.grid.window)
        np.testing.assert_allclose(normalize(patch.image, patch.valid, ranges), 0.5)

    def test_rare_contrast_is_kept(self):
        values = np.zeros(1000)
        values[0] = 50
        assert _range_of(values) == (0, 50)

    @settings(deadline=None)
    @given(st.lists(st.integers(-(2**30), 2**30), min_size=1, max_size=50), st.integers(-20, 20))
    def test_any_values_give_a_usable_range(self, numbers, exponent):
        values = (np.array(numbers) * 2.0**exponent).astype("float32")
        low, high = _range_of(values.astype(np.float64))
        ranges = [BandRange(1, "band 1", "float32", low, high)]
        scaled = normalize(values[None, None], np.ones((1, len(values)), bool), ranges)
        assert np.isfinite(scaled).all()

    def test_real_scenes(self, real_data):
        for folder in ("vegas_roads", "landsat_fields", "rotterdam"):
            path = next((real_data / folder).glob("*.tif"))
            scene = Scene.open(path)
            for measured in measure_ranges([scene]):
                assert measured.low > -9999
                assert measured.high > measured.low


class TestFit:
    def test_the_training_scene_fits(self, scene_factory):
        path = scene_factory()
        scene = open_scene_for(path, ranges_of(), (1.0, 1.0))
        assert scene.bands == (1, 2, 3)

    def test_bands_are_those_of_the_model(self, scene_factory):
        path = scene_factory(bands=5)
        assert open_scene_for(path, ranges_of(bands=(5, 3, 1)), (1, 1)).bands == (5, 3, 1)
        scene = open_scene_for(path, ranges_of(bands=(5, 3, 1)), (1, 1), bands=[2, 2, 4], nodata=9)
        assert scene.bands == (2, 2, 4)
        assert scene.nodata == 9

    def test_fewer_bands_than_the_model_needs(self, scene_factory):
        ranges = (*ranges_of(bands=(1, 2)), BandRange(7, "nir", "uint8", 0, 9))
        with pytest.raises(
            BandError, match=r"has no band 7\. The model reads band 1, band 2, band 7 \(nir\)"
        ):
            open_scene_for(scene_factory(), ranges, (1, 1))

    def test_wrong_number_of_bands_asked_for(self, scene_factory):
        with pytest.raises(BandError, match=r"is read with 2 bands.*The model reads 3: band 1"):
            open_scene_for(scene_factory(), ranges_of(), (1, 1), bands=[1, 2])

    def test_other_type(self, scene_factory):
        scene = Scene.open(scene_factory(dtype="uint16"))
        with pytest.raises(BandError, match=r"holds uint16 values.*trained on uint8.*gdal_trans"):
            fit_scene(scene, ranges_of(), (1.0, 1.0))

    @pytest.mark.parametrize("res", [0.905, 1.0, 1.095])
    def test_pixels_within_ten_percent(self, scene_factory, res):
        fit_scene(Scene.open(scene_factory(res=res)), ranges_of(), (1.0, 1.0))

    @pytest.mark.parametrize("res", [0.5, 0.89, 1.11, 30])
    def test_pixels_of_another_size(self, scene_factory, res):
        scene = Scene.open(scene_factory(res=res))
        with pytest.raises(
            PixelSizeError, match=r"trained on 1 m.*gdalwarp -r average -tr (1|0\.99)"
        ):
            fit_scene(scene, ranges_of(), (1.0, 1.0))

    def test_the_remedy_works(self, scene_factory):
        scene = Scene.open(
            scene_factory(crs="EPSG:4326", origin_xy=(10.0, 50.0), res=1e-5, shape_hw=(64, 64))
        )
        with pytest.raises(PixelSizeError, match=r"-tr \S+ \S+") as caught:
            check_pixel_size(scene.grid, (0.3, 0.3), "scene.tif")
        x, y = (float(v) for v in caught.value.remedy.split("-tr ")[1].split()[:2])
        assert x == pytest.approx(y)
        again = Scene.open(
            scene_factory("again.tif", crs="EPSG:4326", origin_xy=(10.0, 50.0), res=x)
        )
        check_pixel_size(again.grid, (0.3, 0.3), "again.tif")
        assert again.grid.ground_pixel_m2 == pytest.approx(0.09, rel=1e-3)

    def test_ground_not_crs_metres_count(self, scene_factory):
        # EPSG:3857 doubles lengths at 60 degrees: 2 of its metres are 1 m.
        scene = Scene.open(scene_factory(crs="EPSG:3857", origin_xy=(0, 8_399_737.9), res=2.0))
        check_pixel_size(scene.grid, (1.0, 1.0), "scene.tif")
        with pytest.raises(PixelSizeError, match=r"has pixels of (1|0\.999|1\.00) m on the ground"):
            check_pixel_size(scene.grid, (2.0, 2.0), "scene.tif")
