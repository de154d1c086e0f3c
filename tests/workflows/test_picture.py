from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geocobot.classes import IGNORE, name_classes
from geocobot.errors import OutputError
from geocobot.workflows.picture import Row, draw_rows

CLASSES = name_classes(["roads", "roofs"])
HEADER_PX, GAP_PX = 52, 8


def make_row(shape: tuple[int, int], bands: int = 3) -> Row:
    labels = np.zeros(shape, np.uint8)
    return Row(np.full((bands, *shape), 0.5, np.float32), labels, labels.copy())


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_three_panels_stand_side_by_side(tmp_path: Path) -> None:
    row = make_row((240, 260))
    row.image[0] = 1.0
    row.truth[10:20, 5:15] = 1
    row.predicted[200:, 200:] = 2
    draw_rows([row], CLASSES, tmp_path / "p.png")
    sheet = read(tmp_path / "p.png")
    assert sheet.shape == (HEADER_PX + 240 + GAP_PX, 3 * 260 + 2 * GAP_PX, 3)
    image, label, found = (
        sheet[HEADER_PX:-GAP_PX, n * 268 : n * 268 + 260].astype(int) for n in range(3)
    )
    assert (image == (255, 128, 128)).all()
    tinted = np.ptp(label, axis=2) > 20
    assert tinted[10:20, 5:15].all()
    assert tinted.sum() == 100
    assert (label[0, 0] == label[0, 0, 0]).all()
    assert found[220, 230, 2] > found[220, 230, 0]
    assert label[15, 10, 0] > label[15, 10, 2]


def test_unknown_pixels_are_grayed_and_no_class(tmp_path: Path) -> None:
    row = make_row((256, 256))
    row.truth[:100] = IGNORE
    draw_rows([row], CLASSES, tmp_path / "p.png")
    label = read(tmp_path / "p.png")[HEADER_PX:-GAP_PX, 264:520].astype(int)
    assert np.ptp(label, axis=2).max() == 0
    assert label[0, 0, 0] < label[150, 0, 0]


def test_rows_of_different_size_stand_below_each_other(tmp_path: Path) -> None:
    draw_rows([make_row((300, 400)), make_row((500, 200))], CLASSES, tmp_path / "p.png")
    high = HEADER_PX + 300 + 500 + 2 * GAP_PX
    assert read(tmp_path / "p.png").shape[:2] == (high, 3 * 400 + 16)


def test_large_places_are_shrunk(tmp_path: Path) -> None:
    draw_rows([make_row((1400, 700))], CLASSES, tmp_path / "p.png")
    assert read(tmp_path / "p.png").shape[:2] == (HEADER_PX + 700 + GAP_PX, 3 * 350 + 16)


def test_small_places_are_enlarged_pixel_by_pixel(tmp_path: Path) -> None:
    row = make_row((64, 40))
    row.image[:, 0, 0] = 1.0
    draw_rows([row], CLASSES, tmp_path / "p.png")
    sheet = read(tmp_path / "p.png")
    assert sheet.shape[:2] == (HEADER_PX + 4 * 64 + GAP_PX, 3 * 4 * 40 + 16)
    white = (sheet[HEADER_PX:, : 4 * 40] == 255).all(axis=2)
    assert white[: 4 * 64].sum() == 16


@pytest.mark.parametrize(("bands", "color"), [(1, (128, 128, 128)), (5, (128, 128, 128))])
def test_any_number_of_bands_is_shown(
    tmp_path: Path, bands: int, color: tuple[int, int, int]
) -> None:
    draw_rows([make_row((10, 10), bands)], CLASSES, tmp_path / "p.png")
    assert (read(tmp_path / "p.png")[HEADER_PX + 5, 5] == color).all()


def test_values_beyond_the_range_are_cut(tmp_path: Path) -> None:
    row = make_row((10, 10))
    row.image[:, :5], row.image[:, 5:] = -0.5, 1.5
    draw_rows([row], CLASSES, tmp_path / "p.png")
    panel = read(tmp_path / "p.png")[HEADER_PX:-GAP_PX, :250]
    assert panel[:125].max() == 0
    assert panel[125:].min() == 255


def test_the_legend_names_the_classes_in_their_colors(tmp_path: Path) -> None:
    draw_rows([make_row((256, 256))], CLASSES, tmp_path / "p.png")
    header = read(tmp_path / "p.png")[:HEADER_PX].reshape(-1, 3)
    for spec in CLASSES:
        assert (header == spec.rgb).all(axis=1).sum() > 100


def test_a_long_legend_takes_several_lines(tmp_path: Path) -> None:
    classes = name_classes([f"a class with a long name {n}" for n in range(8)])
    draw_rows([make_row((256, 40))], classes, tmp_path / "p.png")
    sheet = read(tmp_path / "p.png")
    lines = (sheet.shape[0] - 256 - GAP_PX) // 26 - 1
    assert lines == 8
    header = sheet[: 26 * lines].reshape(-1, 3)
    for spec in classes:
        assert (header == spec.rgb).all(axis=1).sum() > 100


def test_a_picture_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        draw_rows([make_row((10, 10))], CLASSES, tmp_path / "missing" / "p.png")
