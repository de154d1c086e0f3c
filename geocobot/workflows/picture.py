"""Pictures for a first look: image, label and prediction side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from geocobot.classes import BACKGROUND, IGNORE, ClassSpec
from geocobot.errors import OutputError

_MIN_SIDE_PX, _MAX_SIDE_PX = 256, 700
_GAP_PX = 8
_LINE_PX = 26
_FONT_PX = 14
_TINT = 0.55
_PAPER = (255, 255, 255)
_INK = (40, 40, 40)
_UNKNOWN_RGB = (90, 90, 90)
_TITLES = ("image", "label", "prediction")


@dataclass(frozen=True)
class Row:
    """One place in the picture.

    Attributes:
        image: (C, H, W) float, 0 to 1; the first three bands are shown, or one as gray.
        truth: (H, W) uint8 class numbers.
        predicted: (H, W) uint8 class numbers; None where there is no prediction, on all rows then.
    """

    image: npt.NDArray[np.float32]
    truth: npt.NDArray[np.uint8]
    predicted: npt.NDArray[np.uint8] | None = None

    @property
    def layers(self) -> tuple[npt.NDArray[np.uint8], ...]:
        """What is shown beside the image."""
        return (self.truth,) if self.predicted is None else (self.truth, self.predicted)


def draw_rows(
    rows: Sequence[Row],
    classes: Sequence[ClassSpec],
    path: str | Path,
    *,
    most_px: int = _MAX_SIDE_PX,
    colors: int | None = None,
) -> None:
    """Draw places below each other: image, label and prediction over the image.

    Args:
        rows: at least one; they may differ in size.
        classes: give the colors and the legend.
        path: PNG to write.
        most_px: largest side of a panel.
        colors: how many there are at most, for a small file; None keeps all.

    Raises:
        OutputError: the file cannot be written.
    """
    _save(as_png(rows, classes, most_px=most_px, colors=colors), Path(path))


def as_png(
    rows: Sequence[Row],
    classes: Sequence[ClassSpec],
    *,
    most_px: int = _MAX_SIDE_PX,
    colors: int | None = None,
) -> bytes:
    """The picture that `draw_rows` writes."""
    strips = [_draw_row(row, classes, most_px) for row in rows]
    width = max(s.width for s in strips)
    legend = _legend(classes, width)
    top = _LINE_PX * (2 + max(line for _, line, _ in legend))
    height = top + sum(s.height + _GAP_PX for s in strips)
    sheet = Image.new("RGB", (width, height), _PAPER)
    n_panels = 1 + len(rows[0].layers)
    panel_px = (strips[0].width - (n_panels - 1) * _GAP_PX) // n_panels
    _draw_header(sheet, legend, _TITLES[:n_panels], panel_px=panel_px)
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height + _GAP_PX
    buffer = BytesIO()
    if colors is not None:
        sheet = sheet.quantize(colors, dither=Image.Dither.NONE)
    sheet.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _draw_row(row: Row, classes: Sequence[ClassSpec], most_px: int) -> Image.Image:
    """The panels of one place."""
    base = as_rgb(row.image)
    panels = [base, *(tinted(base, layer, classes) for layer in row.layers)]
    height, width = base.shape[:2]
    size = _shown_size(width, height, most_px)
    width_px = len(panels) * (size[0] + _GAP_PX) - _GAP_PX
    strip = Image.new("RGB", (width_px, size[1]), _PAPER)
    for n, panel in enumerate(panels):
        larger = size[0] > width
        how = Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS
        shown = Image.fromarray(panel).resize(size, how)
        strip.paste(shown, (n * (size[0] + _GAP_PX), 0))
    return strip


def _shown_size(width: int, height: int, most_px: int) -> tuple[int, int]:
    """Width and height of a panel: small places by whole factors, large ones shrunk."""
    larger = max(1, _MIN_SIDE_PX // max(height, width))
    scale = min(larger, most_px / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def as_rgb(image: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """(H, W, 3) display values."""
    bands = image[:3] if image.shape[0] >= 3 else np.repeat(image[:1], 3, axis=0)
    return np.rint(np.clip(bands, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)


def tinted(
    base: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8], classes: Sequence[ClassSpec]
) -> npt.NDArray[np.uint8]:
    """The image, paler, with every class in its color; gray where nothing is known."""
    colors = np.zeros((256, 3), np.float32)
    for spec in classes:
        colors[spec.number] = spec.rgb
    colors[IGNORE] = _UNKNOWN_RGB
    # The image is grayed, so that no color of the place is taken for a class.
    gray = np.repeat(base.mean(axis=2, keepdims=True), 3, axis=2)
    tinted = gray + np.float32(_TINT) * (colors[labels] - gray)
    shown = np.where((labels == BACKGROUND)[..., None], gray, tinted)
    return np.rint(shown).astype(np.uint8)


def _legend(classes: Sequence[ClassSpec], width_px: int) -> list[tuple[ClassSpec, int, float]]:
    """Every class with its line and its left edge in pixels, as many on a line as fit."""
    font = ImageFont.load_default(size=_FONT_PX)
    places: list[tuple[ClassSpec, int, float]] = []
    line, left = 0, 2.0
    for spec in classes:
        need = 28 + font.getlength(spec.name)
        if left > 2 and left + need > width_px:
            line, left = line + 1, 2.0
        places.append((spec, line, left))
        left += need
    return places


def _draw_header(
    sheet: Image.Image,
    legend: Sequence[tuple[ClassSpec, int, float]],
    titles: Sequence[str],
    *,
    panel_px: int,
) -> None:
    """Draw the legend, and the titles of the panels below it."""
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=_FONT_PX)
    for spec, line, left in legend:
        top = line * _LINE_PX
        draw.rectangle((left, top + 7, left + 12, top + 19), fill=spec.rgb)
        draw.text((left + 16, top + 4), spec.name, fill=_INK, font=font)
    top = _LINE_PX * (1 + legend[-1][1])
    for n, title in enumerate(titles):
        draw.text((n * (panel_px + _GAP_PX) + 2, top + 4), title, fill=_INK, font=font)


def _save(content: bytes, path: Path) -> None:
    """Write a file."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise OutputError(
            path,
            f"cannot be written ({error.strerror})",
            "The picture needs room and write permission there",
            "Free some space, or choose another --out",
        ) from error
