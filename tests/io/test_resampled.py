"""Scenes in pixels of another size than those of their files."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from geocobot.errors import PixelSizeError
from geocobot.io import resampled as resampled_module
from geocobot.io.resampled import ResampledScene, resampled
from geocobot.io.scene import Scene


def at(path, x_m, y_m=None, **options):
    return resampled(Scene.open(path, **options), (x_m, y_m or x_m))


def test_the_grid_has_the_size_asked_for_and_the_same_corner(scene_factory):
    path = scene_factory(shape_hw=(65, 96), res=0.5)
    scene = at(path, 2.0, 1.1)
    assert isinstance(scene, ResampledScene)
    assert scene.native == Scene.open(path)
    assert scene.grid.ground_pixel_m == pytest.approx((2.0, 1.1), rel=1e-3)
    assert scene.grid.shape == (30, 24)
    assert scene.grid.bounds[::3] == scene.native.grid.bounds[::3]
    south, native_south = scene.grid.bounds[1], scene.native.grid.bounds[1]
    assert native_south - scene.grid.res_xy[1] < south <= native_south
    # UTM stretches the ground by 0.4 per mille there, which makes no part of a pixel.
    assert scene.scale_xy == pytest.approx((4, 2.2), rel=1e-3)
    assert scene.scale_xy[0] == 4


def test_degrees_become_square_on_the_ground(real_data):
    scene = at(real_data / "vegas_roads" / "scene.tif", 0.6)
    assert scene.grid.ground_pixel_m == pytest.approx((0.6, 0.6), rel=1e-2)
    assert scene.grid.bounds == pytest.approx(scene.native.grid.bounds, abs=1e-5)


def test_pixels_of_about_that_size_are_read_as_they_are(scene_factory):
    scene = Scene.open(scene_factory())
    assert resampled(scene, (1.005, 0.995)) is scene


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.floats(0.35, 7), st.integers(-9, 40), st.integers(-9, 30), st.integers(1, 40))
def test_windows_are_parts_of_the_whole(scene_factory, size_m, col, row, side):
    path = scene_factory(shape_hw=(70, 90), nodata=3, image=blotched(70, 90))
    scene = at(path, size_m, size_m * 0.8)
    height, width = scene.grid.shape
    margin = 50
    whole = scene.read(Window(-margin, -margin, width + 2 * margin, height + 2 * margin))
    part = scene.read(Window(col, row, side, side))
    if col + side > width + margin or row + side > height + margin:
        return
    rows = slice(row + margin, row + margin + side)
    cols = slice(col + margin, col + margin + side)
    assert np.array_equal(part.valid, whole.valid[rows, cols])
    # Halves are rounded either way where the arithmetic of two windows differs in the last bit.
    difference = part.image.astype(int) - whole.image[:, rows, cols].astype(int)
    assert np.abs(difference).max(initial=0) <= 1
    assert (difference != 0).mean() < 0.01


def blotched(height, width):
    """Random values with patches of 3, which is nodata."""
    rng = np.random.default_rng(1)
    image = rng.integers(4, 250, (3, height, width)).astype("uint8")
    image[:, 10:25, 30:60] = 3
    image[:, -6:] = 3
    return image


def test_little_is_read_at_a_time(scene_factory, monkeypatch):
    scene = at(scene_factory(shape_hw=(200, 160), image=None), 3.0)
    window = Window(2, 1, 40, 50)
    at_once = scene.read(window)
    sizes = []
    real = Scene.read

    def read(self, window):
        if self is scene.native:
            sizes.append(window.width * window.height)
        return real(self, window)

    monkeypatch.setattr(Scene, "read", read)
    monkeypatch.setattr(resampled_module, "_MAX_READ_PX", 2000)
    in_parts = scene.read(window)
    assert len(sizes) >= 10
    assert max(sizes) < 4000
    assert np.array_equal(in_parts.image, at_once.image)
    assert np.array_equal(in_parts.valid, at_once.valid)


def test_what_is_transparent_has_no_say(scene_factory):
    image = np.full((3, 40, 40), 90, "uint8")
    alpha = np.full((40, 40), 255, "uint8")
    alpha[:, :20] = 0
    image[:, :, :20] = 200
    path = scene_factory(image=image, alpha=alpha)
    patch = at(path, 4.0).read(Window(0, 0, 10, 10))
    assert set(np.unique(patch.image)) == {0, 90}
    assert np.array_equal(patch.valid, np.broadcast_to(np.arange(10) >= 5, (10, 10)))


def test_south_up(scene_factory):
    rows = np.arange(40, dtype="uint8")[None, :, None] * np.ones((3, 1, 40), "uint8")
    north_up = at(scene_factory("n.tif", image=rows), 2.0)
    turned = scene_factory(
        "s.tif", image=rows[:, ::-1], transform=Affine(1, 0, 5e5, 0, 1, 5e6 - 40)
    )
    south_up = at(turned, 2.0)
    window = Window(-2, -2, 25, 25)
    assert np.array_equal(north_up.read(window).image, south_up.read(window).image)


def test_overviews_of_the_file_are_not_used(scene_factory):
    path = scene_factory(image=np.full((3, 512, 512), 50, "uint8"), tiled=True)
    with rasterio.open(path, "r+") as source:
        source.build_overviews([2, 4], Resampling.nearest)
        source.write(np.full((3, 512, 512), 150, "uint8"))  # the overviews stay as they are
    patch = at(path, 4.0).read(Window(0, 0, 100, 100))
    assert (patch.image == 150).all()


@pytest.mark.parametrize(
    ("size_m", "limit", "remedy"),
    [
        (0.2, "4 times finer", r"Choose a finer scene, or --resolution 0\.25 or more"),
        (1000.0, "100 times coarser", "gdalwarp -r average"),
    ],
)
def test_too_far_from_the_file_is_refused(scene_factory, size_m, limit, remedy):
    with pytest.raises(
        PixelSizeError,
        match=rf"scene.tif has pixels of 1 m, and is to be read in pixels of {size_m:g} m\. Pixels "
        rf"are made up to {limit}.*{remedy}",
    ):
        at(scene_factory(), size_m)


def test_almost_four_times_finer(scene_factory):
    assert at(scene_factory(), 0.26).grid.shape == (247, 370)


def test_coarser_than_the_scene_is_one_pixel(scene_factory):
    scene = at(scene_factory(), 96.0)
    assert scene.grid.shape == (1, 1)
    values = scene.native.read(scene.native.grid.window).image
    assert scene.read(Window(0, 0, 1, 1)).image.mean() == pytest.approx(values.mean(), abs=4)


@pytest.mark.parametrize("size_m", [0.4, 1.3, 3.0, 7.7])
def test_no_pixel_with_data_is_left_out(scene_factory, size_m):
    image = np.zeros((3, 60, 60), "uint8")
    image[:, ::11, ::7] = 200
    scene = at(scene_factory(image=image, nodata=0), size_m)
    valid = scene.read(scene.grid.window).valid
    rows, cols = np.nonzero(scene.native.read(scene.native.grid.window).valid)
    scale_x, scale_y = scene.scale_xy
    assert valid[((rows + 0.5) / scale_y).astype(int), ((cols + 0.5) / scale_x).astype(int)].all()
    assert not valid.all()
    shown = scene.read(scene.grid.window).image[:, valid]
    assert shown.min() == shown.max() == 200


def test_it_travels_to_other_processes(scene_factory):
    scene = at(scene_factory(shape_hw=(64, 64)), 2.0)
    window = Window(0, 0, 32, 32)
    before = scene.read(window)
    again = pickle.loads(pickle.dumps(scene))
    assert again == scene
    assert np.array_equal(again.read(window).image, before.image)
    scene.close()
    assert not len(scene.native._handles)


@pytest.mark.parametrize("size_m", [0.15, 0.6, 1.5])
def test_gdal_reads_a_real_scene_alike(real_data, size_m):
    """Against WarpedVRT, where all is valid."""
    path = real_data / "vegas_multiclass" / "scene_rgb8.tif"
    scene = at(path, size_m)
    window = Window(8, 8, 64, 48)
    ours = scene.read(window).image.astype(float)
    with (
        rasterio.open(path) as source,
        WarpedVRT(
            source,
            crs=source.crs,
            transform=scene.grid.transform,
            height=scene.grid.height,
            width=scene.grid.width,
            resampling=Resampling.bilinear,
            OVERVIEW_LEVEL="NONE",
        ) as vrt,
    ):
        theirs = vrt.read([1, 2, 3], window=window).astype(float)
    assert np.abs(ours - theirs).mean() < 1.5
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.998
