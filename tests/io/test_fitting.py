"""Whether a scene fits a model, and scenes fit each other."""

from __future__ import annotations

import pytest

from geocobot.bands import BandRange
from geocobot.errors import BandError, PixelSizeError
from geocobot.io.fitting import bring_together, check_resolution, fit_bands, open_scene_for
from geocobot.io.resampled import ResampledScene
from geocobot.io.scene import Scene


def ranges_of(dtype="uint8", bands=(1, 2, 3)):
    return tuple(BandRange(b, f"band {b}", dtype, 0, 200) for b in bands)


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
            fit_bands(scene, ranges_of())

    @pytest.mark.parametrize("res", [0.905, 1.0, 1.095])
    def test_pixels_within_ten_percent(self, scene_factory, res):
        scene = open_scene_for(scene_factory(res=res), ranges_of(), (1.0, 1.0))
        assert not isinstance(scene, ResampledScene)

    @pytest.mark.parametrize("res", [0.5, 0.89, 1.11, 30])
    def test_pixels_of_another_size(self, scene_factory, res):
        with pytest.raises(
            PixelSizeError, match=r"on the ground\. The model was trained on 1 m.*--resolution 1 to"
        ):
            open_scene_for(scene_factory(res=res), ranges_of(), (1.0, 1.0))

    def test_the_remedy_works(self, scene_factory):
        path = scene_factory(crs="EPSG:4326", origin_xy=(10.0, 50.0), res=1e-5, shape_hw=(640, 640))
        model_m = (0.24, 0.30)
        with pytest.raises(PixelSizeError, match=r"Pass --resolution \S+ to have it") as caught:
            open_scene_for(path, ranges_of(), model_m)
        asked_m = float(caught.value.remedy.split("--resolution ")[1].split()[0])
        check_resolution(asked_m, model_m, "model.safetensors")
        scene = open_scene_for(path, ranges_of(), model_m, resampling=True)
        assert scene.grid.ground_pixel_m == pytest.approx(model_m, rel=1e-2)

    def test_a_resolution_that_the_model_does_not_know(self):
        with pytest.raises(
            PixelSizeError,
            match=r"--resolution 2 is not what m.safetensors was trained on.*--resolution 0\.3",
        ):
            check_resolution(2.0, (0.3, 0.3), "m.safetensors")

    def test_ground_not_crs_metres_count(self, scene_factory):
        # EPSG:3857 doubles lengths at 60 degrees: 2 of its metres are 1 m.
        path = scene_factory(crs="EPSG:3857", origin_xy=(0, 8_399_737.9), res=2.0)
        open_scene_for(path, ranges_of(), (1.0, 1.0))
        with pytest.raises(PixelSizeError, match=r"has pixels of (1|0\.999|1\.00) m on the ground"):
            open_scene_for(path, ranges_of(), (2.0, 2.0))


class TestTogether:
    def test_scenes_alike_stay_as_they_are(self, scene_factory):
        scenes = [Scene.open(scene_factory(f"{res}.tif", res=res)) for res in (1.0, 1.09)]
        assert bring_together(scenes, None) == tuple(scenes)

    @pytest.mark.parametrize(("sizes", "remedy"), [((1.0, 2.0), 2), ((2.0, 1.0), 2)])
    def test_the_coarser_pixels_are_offered(self, scene_factory, sizes, remedy):
        scenes = [Scene.open(scene_factory(f"{res}.tif", res=res)) for res in sizes]
        with pytest.raises(
            PixelSizeError,
            match=rf"{sizes[1]}.tif has pixels of {sizes[1]:g} m on the ground\. \S+{sizes[0]}.tif "
            rf"has {sizes[0]:g} m.*Pass --resolution {remedy} to have it resampled",
        ):
            bring_together(scenes, None)

    def test_resolution_makes_them_alike(self, scene_factory):
        scenes = [Scene.open(scene_factory(f"{res}.tif", res=res)) for res in (0.5, 2.0)]
        fine, coarse = bring_together(scenes, 2.0)
        assert coarse is scenes[1]
        assert fine.grid.ground_pixel_m == pytest.approx((2, 2), rel=1e-3)

    def test_resolution_far_finer_than_a_scene(self, scene_factory):
        scene = Scene.open(scene_factory(res=10.0))
        with pytest.raises(PixelSizeError, match="has pixels of 10 m, and is to be read in pixels"):
            bring_together([scene], 1.0)
