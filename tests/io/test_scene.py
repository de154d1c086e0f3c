"""Scenes: what they read, what they call valid, what they refuse."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp, Resampling
from rasterio.windows import Window

from geocobot.errors import BandError, CrsError, GridError, MissingFileError, UnreadableFileError
from geocobot.io.scene import Scene

WINDOWS = st.builds(
    Window, st.integers(-40, 130), st.integers(-40, 90), st.integers(1, 120), st.integers(1, 120)
)


def test_reads_what_rasterio_reads(scene_factory):
    path = scene_factory(bands=4, descriptions=("red", "green", "blue", "nir"))
    scene = Scene.open(path)
    assert scene.name == "scene"
    assert scene.bands == (1, 2, 3)
    assert scene.band_names == ("red", "green", "blue")
    assert scene.dtype == "uint8"
    assert scene.nodata is None
    assert scene.alpha is None
    assert scene.grid.shape == (64, 96)
    assert scene.grid.crs.to_epsg() == 32633
    window = Window(7, 11, 20, 30)
    patch = scene.read(window)
    with rasterio.open(path) as source:
        np.testing.assert_array_equal(patch.image, source.read([1, 2, 3], window=window))
    assert patch.valid.all()
    assert patch.window == window


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_keeps_the_dtype(scene_factory, dtype):
    scene = Scene.open(scene_factory(dtype=dtype))
    patch = scene.read(scene.grid.window)
    assert scene.dtype == dtype
    assert patch.image.dtype == dtype
    assert patch.valid.dtype == np.bool_
    assert patch.image.min() >= 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(window=WINDOWS, flipped=st.booleans())
def test_any_window_equals_the_padded_scene(scene_factory, window, flipped):
    image = np.random.default_rng(1).integers(1, 255, (3, 64, 96)).astype("uint8")
    name = "south.tif" if flipped else "north.tif"
    transform = Affine(1, 0, 5e5, 0, 1 if flipped else -1, 5e6)
    scene = Scene.open(scene_factory(name, image=image, transform=transform))
    padded = np.pad(image[:, ::-1] if flipped else image, ((0, 0), (200, 200), (200, 200)))
    patch = scene.read(window)
    top, left = window.row_off + 200, window.col_off + 200
    part = np.s_[top : top + window.height, left : left + window.width]
    np.testing.assert_array_equal(patch.image, padded[:, *part])
    np.testing.assert_array_equal(patch.valid, padded[0][part] > 0)


def test_south_up_is_turned(scene_factory):
    image = np.arange(1, 13, dtype="uint8").reshape(1, 4, 3)
    scene = Scene.open(
        scene_factory(image=image, transform=Affine(2, 0, 100, 0, 2, 5_000_000)), bands=[1]
    )
    assert scene.flipped
    assert scene.grid.bounds == (100, 5_000_000, 106, 5_000_008)
    np.testing.assert_array_equal(scene.read(scene.grid.window).image[0], image[0, ::-1])


def test_mask_and_alpha_are_turned_too(scene_factory):
    mask = np.zeros((4, 3), dtype=bool)
    mask[0] = True
    scene = Scene.open(
        scene_factory(
            image=np.ones((1, 4, 3), "uint8"),
            transform=Affine(2, 0, 100, 0, 2, 5_000_000),
            mask=mask,
        ),
        bands=[1],
    )
    np.testing.assert_array_equal(scene.read(scene.grid.window).valid, mask[::-1])


class TestValid:
    def test_alpha(self, scene_factory):
        alpha = np.full((64, 96), 255, "uint8")
        alpha[:10] = 0
        alpha[10:20] = 3
        scene = Scene.open(scene_factory(alpha=alpha))
        assert scene.alpha == 4
        assert scene.bands == (1, 2, 3)
        assert not scene.masked
        np.testing.assert_array_equal(scene.read(scene.grid.window).valid, alpha > 0)

    def test_alpha_beside_one_band(self, scene_factory):
        alpha = np.tile(np.array([0, 255], "uint8"), (64, 48))
        scene = Scene.open(scene_factory(bands=1, alpha=alpha))
        assert scene.bands == (1, 1, 1)
        np.testing.assert_array_equal(scene.read(scene.grid.window).valid, alpha > 0)

    def test_masks_of_single_bands(self, scene_factory, tmp_path):
        mask = np.zeros((64, 96), np.uint8)
        mask[5:40, 50:] = 255
        scene_factory("seen.tif")
        scene_factory("mask.tif", image=mask[None])
        source = "<SimpleSource><SourceFilename>{}</SourceFilename><SourceBand>{}</SourceBand>"
        source += "</SimpleSource>"
        band = (
            '<VRTRasterBand dataType="Byte" band="{}">{}<MaskBand>'
            '<VRTRasterBand dataType="Byte">{}</VRTRasterBand></MaskBand></VRTRasterBand>'
        )
        seen, masks = (str(tmp_path / name) for name in ("seen.tif", "mask.tif"))
        bands = "".join(
            band.format(b, source.format(seen, b), source.format(masks, 1)) for b in (1, 2, 3)
        )
        masked = tmp_path / "masked.vrt"
        masked.write_text(
            f'<VRTDataset rasterXSize="96" rasterYSize="64"><SRS>EPSG:32633</SRS><GeoTransform>'
            f"500000,1,0,5000000,0,-1</GeoTransform>{bands}</VRTDataset>"
        )
        scene = Scene.open(masked)
        assert scene.masked
        np.testing.assert_array_equal(scene.read(scene.grid.window).valid, mask > 0)

    def test_nodata_given_replaces_that_of_all_bands_together(self, scene_factory):
        image = np.full((3, 64, 96), 7, np.uint8)
        image[:, :10] = 0
        path = scene_factory(image=image)
        with rasterio.open(path, "r+") as opened:
            opened.update_tags(NODATA_VALUES="0 0 0")
        scene = Scene.open(path)
        assert not scene.read(scene.grid.window).valid[:10].any()
        scene = Scene.open(path, nodata=255)
        assert scene.read(scene.grid.window).valid.all()

    def test_internal_mask(self, scene_factory):
        mask = np.zeros((64, 96), dtype=bool)
        mask[5:40, 50:] = True
        scene = Scene.open(scene_factory(mask=mask))
        assert scene.masked
        np.testing.assert_array_equal(scene.read(scene.grid.window).valid, mask)

    def test_one_dark_color_is_no_nodata_in_unsigned(self, scene_factory):
        image = np.full((3, 4, 4), 9, "uint8")
        image[0, 0] = 0
        image[:, 1] = 0
        scene = Scene.open(scene_factory(image=image, nodata=0))
        assert scene.nodata == 0
        valid = scene.read(scene.grid.window).valid
        assert valid[0].all()
        assert not valid[1].any()
        assert valid[2:].all()

    @pytest.mark.parametrize(("dtype", "nodata"), [("int16", -9999), ("float32", -3.4e38)])
    def test_one_missing_band_is_missing_in_signed(self, scene_factory, dtype, nodata):
        image = np.full((3, 4, 4), 9, dtype)
        image[1, 0] = nodata
        scene = Scene.open(scene_factory(image=image, nodata=nodata))
        valid = scene.read(scene.grid.window).valid
        assert not valid[0].any()
        assert valid[1:].all()

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_not_finite(self, scene_factory, value):
        image = np.ones((3, 4, 4), "float32")
        image[2, 1, 1] = value
        scene = Scene.open(scene_factory(image=image))
        valid = scene.read(scene.grid.window).valid
        assert valid.sum() == 15
        assert not valid[1, 1]

    def test_nodata_option_replaces_the_declared_one(self, scene_factory):
        image = np.full((1, 2, 2), 9, "uint8")
        image[0, 0, 0] = 0
        image[0, 1, 1] = 7
        scene = Scene.open(scene_factory(image=image, nodata=0), nodata=7)
        assert scene.nodata == 7
        np.testing.assert_array_equal(
            scene.read(scene.grid.window).valid, [[True, True], [True, False]]
        )

    @pytest.mark.parametrize(
        ("dtype", "nodata"), [("uint8", -9999), ("float32", -1.7976931348623157e308)]
    )
    def test_nodata_beyond_the_dtype_means_nothing(self, scene_factory, dtype, nodata):
        scene = Scene.open(scene_factory(dtype=dtype), nodata=nodata)
        assert scene.read(scene.grid.window).valid.all()

    def test_nodata_per_band(self, scene_factory, tmp_path):
        image = np.full((2, 1, 4), 9, "int16")
        image[0, 0, 0], image[0, 0, 1], image[1, 0, 2], image[1, 0, 3] = -1, -2, -2, -1
        source = scene_factory(image=image)
        vrt = tmp_path / "both.vrt"
        bands = "".join(
            f'<VRTRasterBand dataType="Int16" band="{b}"><NoDataValue>{-b}</NoDataValue>'
            f'<SimpleSource><SourceFilename relativeToVRT="1">{source.name}</SourceFilename>'
            f"<SourceBand>{b}</SourceBand></SimpleSource></VRTRasterBand>"
            for b in (1, 2)
        )
        vrt.write_text(
            '<VRTDataset rasterXSize="4" rasterYSize="1"><SRS>EPSG:32633</SRS>'
            f"<GeoTransform>500000, 1, 0, 5000000, 0, -1</GeoTransform>{bands}</VRTDataset>"
        )
        scene = Scene.open(vrt)
        assert scene.band_nodata == (-1, -2, -2)
        np.testing.assert_array_equal(
            scene.read(scene.grid.window).valid, [[False, True, False, True]]
        )


def test_overviews_are_never_read(scene_factory):
    path = scene_factory(shape_hw=(256, 256), tiled=True, blockxsize=64, blockysize=64)
    scene = Scene.open(path)
    before = scene.read(scene.grid.window).image
    scene.close()
    with rasterio.open(path, "r+") as sink:
        sink.build_overviews([2, 4], Resampling.average)
    np.testing.assert_array_equal(scene.read(scene.grid.window).image, before)


def test_custom_crs_without_code(scene_factory):
    crs = "+proj=aea +lat_1=30 +lat_2=45.5 +lat_0=23 +lon_0=-96 +datum=NAD83 +units=m"
    scene = Scene.open(scene_factory(crs=crs, origin_xy=(-673425, 2130165), res=30))
    assert scene.grid.crs.to_epsg() is None
    assert scene.grid.ground_pixel_m == pytest.approx((30, 30), rel=0.02)


class TestBands:
    def test_order_and_repeats(self, scene_factory):
        path = scene_factory(bands=4)
        with rasterio.open(path) as source:
            whole = source.read()
        scene = Scene.open(path, bands=[4, 1, 4])
        assert scene.bands == (4, 1, 4)
        np.testing.assert_array_equal(scene.read(scene.grid.window).image, whole[[3, 0, 3]])

    @pytest.mark.parametrize(
        ("count", "bands", "said"), [(1, (1, 1, 1), "1 band "), (2, (1, 2, 2), "2 bands ")]
    )
    def test_few_bands_are_repeated_aloud(self, scene_factory, caplog, count, bands, said):
        with caplog.at_level(logging.INFO, logger="geocobot"):
            scene = Scene.open(scene_factory(bands=count))
        assert scene.bands == bands
        assert said in caplog.text

    def test_by_name(self, scene_factory):
        path = scene_factory(bands=4)
        with rasterio.open(path, "r+") as sink:
            sink.descriptions = ("B2", "B3", "B4", None)
            colors = ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.undefined
            sink.colorinterp = colors
        assert Scene.open(path, bands=["B4", "b3 ", 2, "4"]).bands == (3, 2, 2, 4)
        assert Scene.open(path, bands=["red", "Green", "blue"]).bands == (3, 2, 1)
        with pytest.raises(
            BandError, match=r"no band named 'nir', or .*are 1 \(B2\), 2 \(B3\), 3 \(B4\), 4\."
        ):
            Scene.open(path, bands=["nir"])
        with rasterio.open(path, "r+") as sink:
            sink.descriptions = ("x", "x", "y", None)
        with pytest.raises(BandError, match="no band named 'x', or several of them"):
            Scene.open(path, bands=["x"])

    @pytest.mark.parametrize("bands", [[0], [1, 2, 4], [-1]])
    def test_out_of_range(self, scene_factory, bands):
        with pytest.raises(BandError, match=r"has no band .*bands 1 to 3.*--bands"):
            Scene.open(scene_factory(), bands=bands)

    def test_no_bands(self, scene_factory):
        with pytest.raises(BandError, match="without any band"):
            Scene.open(scene_factory(), bands=[])

    def test_alpha_is_no_input(self, scene_factory):
        path = scene_factory(alpha=np.full((64, 96), 255, "uint8"))
        with pytest.raises(BandError, match=r"has alpha in band 4.*-colorinterp_4 undefined"):
            Scene.open(path, bands=[1, 2, 4])

    def test_only_alpha(self, scene_factory):
        path = scene_factory(bands=1)
        with rasterio.open(path, "r+") as sink:
            sink.colorinterp = [ColorInterp.alpha]
        with pytest.raises(BandError, match="no band with data"):
            Scene.open(path)

    def test_color_table(self, scene_factory):
        path = scene_factory(bands=1)
        with rasterio.open(path, "r+") as sink:
            sink.write_colormap(1, {0: (0, 0, 0, 255), 1: (255, 0, 0, 255)})
        with pytest.raises(BandError, match=r"color table in band 1.*-expand rgb"):
            Scene.open(path)

    def test_complex(self, scene_factory):
        with pytest.raises(BandError, match="complex numbers"):
            Scene.open(scene_factory(bands=1, dtype="complex64"))

    def test_mixed_types_are_widened(self, scene_factory, tmp_path):
        small = scene_factory("a.tif", bands=1, dtype="uint8")
        large = scene_factory("b.tif", bands=1, dtype="uint16")
        vrt = tmp_path / "both.vrt"
        bands = "".join(
            f'<VRTRasterBand dataType="{kind}" band="{b}"><SimpleSource>'
            f'<SourceFilename relativeToVRT="1">{name}</SourceFilename>'
            "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
            for b, (kind, name) in enumerate([("Byte", small.name), ("UInt16", large.name)], 1)
        )
        vrt.write_text(
            '<VRTDataset rasterXSize="96" rasterYSize="64"><SRS>EPSG:32633</SRS>'
            f"<GeoTransform>500000, 1, 0, 5000000, 0, -1</GeoTransform>{bands}</VRTDataset>"
        )
        scene = Scene.open(vrt)
        assert scene.dtype == "uint16"
        assert scene.read(scene.grid.window).image.dtype == np.uint16


class TestRefused:
    def test_missing(self, tmp_path):
        with pytest.raises(MissingFileError, match=r"nothing\.tif does not exist"):
            Scene.open(tmp_path / "nothing.tif")

    def test_folder(self, tmp_path):
        with pytest.raises(UnreadableFileError, match=r"is a folder.*gdalbuildvrt"):
            Scene.open(tmp_path)

    @pytest.mark.parametrize("content", [b"", b"II*\x00", b"not a raster at all"])
    def test_no_raster(self, tmp_path, content):
        path = tmp_path / "broken.tif"
        path.write_bytes(content)
        with pytest.raises(UnreadableFileError, match="cannot be opened"):
            Scene.open(path)

    def test_missing_gdal_name_is_left_to_gdal(self):
        with pytest.raises(UnreadableFileError, match="cannot be opened"):
            Scene.open("/vsizip/nothing.zip/scene.tif")

    @pytest.mark.parametrize("compress", ["deflate", "none"])
    def test_truncated(self, scene_factory, compress):
        path = scene_factory(
            shape_hw=(512, 512), tiled=True, blockxsize=128, blockysize=128, compress=compress
        )
        os.truncate(path, path.stat().st_size // 2)
        scene = Scene.open(path)
        assert scene.read(Window(0, 0, 64, 64)).valid.all()
        with pytest.raises(UnreadableFileError, match=r"cannot be read at rows 448 to 512.*again"):
            scene.read(Window(448, 448, 64, 64))

    def test_rotated(self, scene_factory):
        transform = Affine.translation(5e5, 5e6) @ Affine.rotation(10) @ Affine.scale(1, -1)
        with pytest.raises(GridError, match=r"scene\.tif is rotated or sheared.*gdalwarp"):
            Scene.open(scene_factory(transform=transform))

    def test_no_crs(self, scene_factory):
        with pytest.raises(CrsError, match=r"scene\.tif has no CRS.*-a_srs"):
            Scene.open(scene_factory(crs=None))

    def test_local_crs(self, scene_factory):
        local = 'LOCAL_CS["site grid",UNIT["metre",1]]'
        with pytest.raises(CrsError, match="has the local CRS site grid"):
            Scene.open(scene_factory(crs=local))

    def test_crs_that_does_not_reach_the_coordinates(self, scene_factory):
        with pytest.raises(CrsError, match=r"scene\.tif has pixels at.*does not reach"):
            Scene.open(scene_factory(crs="EPSG:32633", origin_xy=(5e9, 5e9)))

    def test_no_place_at_all(self, scene_factory):
        path = scene_factory(crs=None, transform=Affine.identity())
        with pytest.raises(CrsError, match=r"no CRS and no geotransform.*Georeferencer"):
            Scene.open(path)

    def test_crs_without_geotransform(self, scene_factory):
        with pytest.raises(GridError, match="has no geotransform"):
            Scene.open(scene_factory(transform=Affine.identity()))

    def test_ground_control_points(self, scene_factory):
        path = scene_factory(crs=None, transform=Affine.identity())
        corners = [(0, 0), (0, 96), (64, 0), (64, 96)]
        with rasterio.open(path, "r+") as sink:
            sink.gcps = (
                [GroundControlPoint(r, c, 5e5 + c, 5e6 - r, 0) for r, c in corners],
                rasterio.crs.CRS.from_epsg(32633),
            )
        with pytest.raises(CrsError, match=r"ground control points.*gdalwarp -tps"):
            Scene.open(path)


class TestProcesses:
    def test_pickles_without_its_handles(self, scene_factory):
        scene = Scene.open(scene_factory())
        before = scene.read(scene.grid.window)
        other = pickle.loads(pickle.dumps(scene))
        assert other == scene
        assert not other._handles
        np.testing.assert_array_equal(other.read(scene.grid.window).image, before.image)

    def test_one_handle_per_process(self, scene_factory):
        scene = Scene.open(scene_factory())
        assert not scene._handles
        scene.read(scene.grid.window)
        scene.read(scene.grid.window)
        assert len(scene._handles) == 1
        scene.close()
        assert not scene._handles

    def test_threads_do_not_share_a_handle(self, scene_factory):
        scene = Scene.open(scene_factory())
        scene.read(scene.grid.window)
        thread = threading.Thread(target=scene.read, args=(scene.grid.window,))
        thread.start()
        thread.join()
        assert len(scene._handles) == 2

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
    @pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
    def test_a_fork_opens_its_own(self, scene_factory):
        scene = Scene.open(scene_factory(shape_hw=(256, 256), compress="deflate"))
        expected = int(scene.read(scene.grid.window).image.sum())
        with multiprocessing.get_context("fork").Pool(2) as pool:
            found = pool.starmap(_sum_and_handles, [(scene,)] * 8)
        # The first entry came with the fork and stays unused.
        assert found == [(expected, 1)] * 8


def _sum_and_handles(scene: Scene) -> tuple[int, int]:
    total = int(scene.read(scene.grid.window).image.sum())
    return total, sum(pid == os.getpid() for pid, _ in scene._handles)


class TestRealScenes:
    @pytest.mark.parametrize("folder", ["vegas_roads", "swellendam_roads"])
    def test_fourth_band_is_alpha(self, real_data, folder):
        scene = Scene.open(real_data / folder / "scene.tif")
        assert scene.alpha == 4
        assert scene.bands == (1, 2, 3)
        assert not scene.masked
        window = Window(100, 200, 300, 300)
        with rasterio.open(scene.path) as source:
            expected = source.read(4, window=window) > 0
        np.testing.assert_array_equal(scene.read(window).valid, expected)

    def test_landsat(self, real_data):
        scene = Scene.open(real_data / "landsat_fields" / "scene.tif")
        assert scene.dtype == "int16"
        assert scene.nodata == -9999
        assert scene.grid.crs.to_epsg() is None
        assert scene.grid.ground_pixel_m == pytest.approx((30.2, 29.8), abs=0.1)

    def test_vegas_pixels_are_narrow(self, real_data):
        scene = Scene.open(real_data / "vegas_multiclass" / "scene_rgb8.tif")
        assert scene.grid.ground_pixel_m == pytest.approx((0.2428, 0.2996), abs=1e-4)

    def test_every_scene_opens_and_reads(self, real_data: Path):
        paths = sorted(real_data.glob("*/*.tif"))
        assert len(paths) >= 14
        for path in paths:
            scene = Scene.open(path)
            patch = scene.read(Window(-10, -10, 74, 74))
            assert patch.image.shape == (3, 74, 74)
            assert patch.image.dtype == scene.dtype
            assert not patch.valid[:10].any()
            assert patch.valid[10:, 10:].any(), path
