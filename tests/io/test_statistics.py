"""Band ranges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocobot.bands import BandRange, normalize, ranges_for
from geocobot.errors import BandError, ConfigError
from geocobot.io.scene import Scene
from geocobot.io.statistics import (
    _range_of,
    fixed_ranges,
    measure_ranges,
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
        scenes = [Scene.open(scene_factory()), Scene.open(scene_factory("b.tif"), bands=[3, 2, 1])]
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

    def test_scenes_of_different_type_are_measured_apart(self, scene_factory):
        paths = [
            scene_factory(f"{k}.tif", image=np.full((3, 64, 64), value, dtype))
            for k, (value, dtype) in enumerate([(10, "uint8"), (5000, "uint16"), (200, "uint8")])
        ]
        ranges = measure_ranges([Scene.open(path) for path in paths])
        assert [(r.band, r.dtype) for r in ranges] == [
            (band, dtype) for dtype in ("uint8", "uint16") for band in (1, 2, 3)
        ]
        assert {(r.low, r.high) for r in ranges_for(ranges)} == {(10, 200)}
        assert ranges_for(ranges, "uint8") == ranges_for(ranges)
        assert all(r.low < 5000 < r.high for r in ranges_for(ranges, "uint16"))
        assert ranges_for(ranges, "float32") == ()

    def test_scenes_of_different_bands(self, scene_factory):
        scenes = [
            Scene.open(scene_factory("a.tif")),
            Scene.open(scene_factory("b.tif"), bands=[3, 2, 1]),
        ]
        with pytest.raises(BandError, match=r"b\.tif is read with bands \(3, 2, 1\)\. All scenes"):
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
