"""Several scenes read as one."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.windows import Window

from geocobot.errors import BandError, CrsError, PixelSizeError
from geocobot.io.identity import scene_identity
from geocobot.io.mosaic import mosaic
from geocobot.io.resampled import ResampledScene
from geocobot.io.scene import Scene

HEIGHT, WIDTH = 60, 80
LAND = np.random.default_rng(0).integers(1, 250, (3, HEIGHT, WIDTH)).astype("uint8")
ORIGIN = Affine(1, 0, 500_000, 0, -1, 5_000_000)


@pytest.fixture
def cut_out(scene_factory):
    """Writes a part of the land into a file of its own, where it lies."""

    def write(name, row=0, col=0, height=HEIGHT, width=WIDTH, *, image=LAND, **options):
        part = image[:, row : row + height, col : col + width]
        options.setdefault("transform", ORIGIN @ Affine.translation(col, row))
        return Scene.open(scene_factory(f"{name}.tif", image=part, **options))

    return write


def on_land(scene):
    """A mosaic's pixels and validity where the land is; the land begins at its first pixel."""
    west, _, _, north = scene.grid.bounds
    col, row = round(500_000 - west), round(north - 5_000_000)
    patch = scene.read(Window(col, row, WIDTH, HEIGHT))
    return patch.image, patch.valid


boxes = st.tuples(
    st.integers(0, HEIGHT - 5), st.integers(0, WIDTH - 5), st.integers(5, 40), st.integers(5, 40)
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(parts=st.lists(boxes, min_size=1, max_size=6))
def test_parts_of_a_scene_give_the_scene(cut_out, parts):
    """Whatever the parts and their order."""
    scene = mosaic([cut_out(f"part{k}", *box) for k, box in enumerate(parts)], "all")
    covered = np.zeros((HEIGHT, WIDTH), bool)
    for row, col, height, width in parts:
        covered[row : row + height, col : col + width] = True
    image, valid = on_land(scene)
    assert np.array_equal(valid, covered)
    assert np.array_equal(image, np.where(covered, LAND, 0))
    rows, cols = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    assert scene.grid.shape == (np.ptp(rows) + 1, np.ptp(cols) + 1)
    assert scene.name == "all"


@settings(max_examples=25, deadline=None)
@given(col=st.integers(-20, 90), row=st.integers(-20, 70), side=st.integers(1, 60))
def test_windows_are_parts_of_the_whole(shared_mosaic, col, row, side):
    whole = shared_mosaic.read(Window(-100, -100, 300, 300))
    part = shared_mosaic.read(Window(col, row, side, side))
    here = slice(100 + row, 100 + row + side), slice(100 + col, 100 + col + side)
    assert np.array_equal(part.image, whole.image[:, *here])
    assert np.array_equal(part.valid, whole.valid[here])


@pytest.fixture(scope="module")
def shared_mosaic(tmp_path_factory):
    """Four overlapping corners."""
    folder = tmp_path_factory.mktemp("corners")

    scenes = []
    for row, col in ((0, 0), (0, 35), (25, 0), (25, 35)):
        path = folder / f"{row}_{col}.tif"
        part = LAND[:, row : row + 33, col : col + 42]
        place = {"crs": "EPSG:32633", "transform": ORIGIN @ Affine.translation(col, row)}
        size = {"count": 3, "height": part.shape[1], "width": part.shape[2]}
        with rasterio.open(path, "w", driver="GTiff", dtype="uint8", **place, **size) as sink:
            sink.write(part)
        scenes.append(Scene.open(path))
    return mosaic(scenes, "corners")


def test_the_first_is_seen_and_others_fill_what_it_has_not(cut_out):
    holed = LAND.copy()
    holed[:, 10:20, 10:30] = 0
    first = cut_out("first", image=holed, nodata=0)
    second = cut_out("second", 5, 5, 40, 50, image=np.full_like(LAND, 77))
    image, valid = on_land(mosaic([first, second], "both"))
    assert valid.all()
    assert (image[:, 10:20, 10:30] == 77).all()
    image[:, 10:20, 10:30] = 0
    assert np.array_equal(image, holed)
    image, _ = on_land(mosaic([second, first], "both"))
    assert (image[:, 5:45, 5:55] == 77).all()


def test_each_file_says_itself_what_has_no_data(cut_out):
    """Nodata, alpha, a mask, and rows from south to north."""
    left = cut_out("left", 0, 0, 60, 20, image=np.where(LAND < 20, 0, LAND), nodata=0)
    alpha = np.full((60, 20), 255, "uint8")
    alpha[5:9] = 0
    middle = cut_out("middle", 0, 20, 60, 20, alpha=alpha)
    mask = np.ones((60, 20), bool)
    mask[30:] = False
    right = cut_out("right", 0, 40, 60, 20, mask=mask)
    south_up = Affine(1, 0, 500_060, 0, 1, 5_000_000 - 60)
    turned = cut_out("turned", 0, 60, 60, 20, image=LAND[:, ::-1], transform=south_up)
    image, valid = on_land(mosaic([left, middle, right, turned], "all"))
    for scene, cols in ((left, 0), (middle, 20), (right, 40), (turned, 60)):
        own = scene.read(scene.grid.window)
        assert np.array_equal(valid[:, cols : cols + 20], own.valid)
        assert np.array_equal(image[:, :, cols : cols + 20], own.image * own.valid)
    assert np.array_equal(image[:, :, 60:], LAND[:, :, 60:])
    assert not valid.all()


@pytest.mark.parametrize("shift", [0.4, -0.3])
@pytest.mark.parametrize("size", [1.0, 0.5, 2.0])
def test_other_pixels_are_resampled_to_where_they_lie(cut_out, scene_factory, shift, size):
    """A slope keeps its place to a fraction of a pixel."""
    first = cut_out("first", 0, 0, HEIGHT, 30, image=slope(HEIGHT, WIDTH))
    height, width = round(HEIGHT / size), round(50 / size)
    transform = Affine(size, 0, 500_030 + shift, 0, -size, 5_000_000)
    other = slope(height, width, size, 30 + shift)
    second = Scene.open(scene_factory("second.tif", image=other, transform=transform))
    scene = mosaic([first, second], "both")
    assert isinstance(scene.members[1], ResampledScene)
    assert scene.parts == (first, second)
    patch = scene.read(scene.grid.window)
    inner = patch.image[:, 3:-3, 33 : WIDTH - 3].astype(int)
    assert np.abs(inner - slope(HEIGHT, WIDTH)[:, 3:-3, 33 : WIDTH - 3]).max() <= 1
    assert patch.valid[:, : WIDTH - 1].all()  # no gap between the two


def slope(height, width, size=1.0, col=0.0):
    """Two steps of brightness for each metre to the east, and one to the south."""
    x = col + (np.arange(width) + 0.5) * size
    y = (np.arange(height) + 0.5) * size
    return np.rint(np.broadcast_to(2 * x + y[:, None], (3, height, width))).astype("uint8")


def test_what_cannot_lie_side_by_side_is_refused(cut_out, scene_factory):
    first = cut_out("first")
    elsewhere = Scene.open(scene_factory("zone34.tif", crs="EPSG:32634"))
    with pytest.raises(CrsError, match=r"zone34\.tif is in EPSG:32634, and .*first\.tif in EPSG"):
        mosaic([first, elsewhere], "both")
    deep = Scene.open(scene_factory("deep.tif", dtype="uint16"))
    with pytest.raises(BandError, match=r"deep\.tif holds uint16 values, and .*first\.tif uint8"):
        mosaic([first, deep], "both")
    coarse = Scene.open(scene_factory("coarse.tif", res=5.0))
    with pytest.raises(PixelSizeError, match=r"coarse\.tif has pixels of 5 m"):
        mosaic([first, coarse], "both")


def test_travels_with_one_crs_and_without_handles(cut_out):
    scenes = [cut_out(f"part{k}", 0, 4 * k, 20, 10) for k in range(12)]
    scene = mosaic(scenes, "all")
    scene.read(scene.grid.window)
    packed = pickle.dumps(scene)
    assert packed.count(b"PROJCS[") == 1
    other = pickle.loads(packed)
    assert other.parts == scene.parts
    assert not any(len(part._handles) for part in other.parts)
    assert np.array_equal(
        other.read(Window(3, 4, 9, 9)).image, scene.read(Window(3, 4, 9, 9)).image
    )
    scene.close()
    assert not any(len(part._handles) for part in scene.parts)


def test_a_change_of_any_file_shows(cut_out):
    def identity():
        parts = [cut_out("a", 0, 0, 20, 20), cut_out("b", 0, 15, 20, 20)]
        return scene_identity(mosaic(parts, "both"))

    before = identity()
    again = identity()
    changed = {name for name in before if before[name] != again[name]}
    assert {name.rpartition("/")[2] for name in changed} == {"a.tif", "b.tif"}  # written anew
    a, b = cut_out("a", 0, 0, 20, 20), cut_out("b", 0, 15, 20, 20)
    one, other = (scene_identity(mosaic(order, "both")) for order in ([a, b], [b, a]))
    assert {n for n in one if one[n] != other[n]} == {a.path, b.path}
    assert one["bytes"] > 0
