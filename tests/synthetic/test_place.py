from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pytest
import shapely

from geocobot.errors import OutputError
from geocobot.io.scene import Scene
from geocobot.synthetic.frame import Frame
from geocobot.synthetic.place import Place, make_place, write_place
from geocobot.synthetic.shapes import inside


def burn(place: Place) -> npt.NDArray[np.bool_]:
    """Pixels whose center lies on a labelled road."""
    west, south, _, _ = place.grid.bounds
    frame = Frame.of(place.grid.crs, place.grid.shape, place.grid.res_xy[0])
    roads = shapely.union_all(place.roads.geometry)
    return inside(shapely.affinity.translate(roads, -west, -south), frame.whole)


def test_the_same_seed_makes_the_same_place() -> None:
    first, again = make_place(11, (160, 200), 0.5), make_place(11, (160, 200), 0.5)
    assert np.array_equal(first.image, again.image)
    assert first.roads.equals(again.roads)
    assert first.grid == again.grid


def test_another_seed_makes_another_place(place: Place) -> None:
    other = make_place(1, place.grid.shape, 0.5)
    assert not np.array_equal(other.image, place.image)
    assert not np.array_equal(burn(other), burn(place))


@pytest.mark.parametrize(("shape", "pixel_m"), [((300, 200), 0.1), ((64, 96), 10.0), ((1, 1), 0.5)])
def test_any_shape_and_pixel_size_makes_a_place(shape: tuple[int, int], pixel_m: float) -> None:
    place = make_place(2, shape, pixel_m)
    assert place.image.shape == (3, *shape)
    assert place.grid.shape == shape
    assert place.grid.ground_pixel_m == pytest.approx((pixel_m, pixel_m), rel=1e-3)


def test_a_coarse_picture_is_the_fine_one_seen_from_farther_away(place: Place) -> None:
    coarse = make_place(0, (150, 200), 2.0)
    averaged = place.image.reshape(3, 150, 4, 200, 4).mean(axis=(2, 4))
    for fine, far in zip(averaged, coarse.image.astype(float), strict=True):
        assert np.corrcoef(fine.ravel(), far.ravel())[0, 1] > 0.8


def test_labels_lie_in_the_grid_with_width_and_kind(place: Place) -> None:
    assert place.roads.crs == place.grid.crs
    assert place.roads.geom_type.isin({"Polygon", "MultiPolygon"}).all()
    assert place.roads.is_valid.all()
    assert shapely.box(*place.grid.bounds).buffer(1e-6).contains(place.roads.union_all())
    assert set(place.roads["kind"]) <= {"main", "collector", "street", "lane"}
    assert place.roads["width_m"].between(5, 14).all()
    assert 0.08 < burn(place).mean() < 0.25


def test_edges_of_the_picture_lie_where_the_labels_say(place: Place) -> None:
    """The picture changes most right at the outline of the labels, not a pixel beside it."""
    image = place.image.astype(float)
    change = sum(np.hypot(*np.gradient(band)) for band in image)
    road = burn(place)
    outline = (road != np.roll(road, 1, axis=0)) | (road != np.roll(road, 1, axis=1))
    inner = outline[8:-8, 8:-8]

    def change_under(rows: int, cols: int) -> float:
        moved = np.roll(change, (rows, cols), axis=(0, 1))[8:-8, 8:-8]
        return float(moved[inner].mean())

    shifts = [(r, c) for r in range(-4, 5) for c in range(-4, 5)]
    best = max(shifts, key=lambda shift: change_under(*shift))
    assert max(abs(best[0]), abs(best[1])) <= 1


def test_parts_leave_a_gap_and_cover_the_full_height(place: Place) -> None:
    west, east = place.parts()
    assert (west.col_off, west.row_off, west.height) == (0, 0, 600)
    assert east.col_off - west.width == 64
    assert east.col_off + east.width == 800
    assert east.height == 600


def test_written_scenes_read_back_where_they_lie(place: Place, tmp_path: Path) -> None:
    files = write_place(place, tmp_path / "made")
    for path, window in zip((files.train_scene, files.unseen_scene), place.parts(), strict=True):
        scene = Scene.open(str(path))
        assert scene.grid == place.grid.crop(window)
        assert scene.band_names == ("red", "green", "blue")
        patch = scene.read(scene.grid.window)
        rows, cols = window.toslices()
        assert np.array_equal(patch.image, place.image[:, rows, cols])
        assert patch.valid.all()
    roads = gpd.read_file(files.roads)
    assert roads.crs == place.roads.crs
    assert roads.union_all().area == pytest.approx(place.roads.union_all().area)
    assert sorted(roads["kind"]) == sorted(place.roads["kind"])


def test_existing_files_are_not_replaced_unasked(place: Place, tmp_path: Path) -> None:
    write_place(place, tmp_path)
    with pytest.raises(OutputError, match=r"scene_train\.tif exists already"):
        write_place(place, tmp_path)
    write_place(place, tmp_path, overwrite=True)
