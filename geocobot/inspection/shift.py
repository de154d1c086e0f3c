"""How far labels lie beside what they show, by the edges of the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from geocobot.classes import BACKGROUND, IGNORE
from geocobot.data.survey import Survey
from geocobot.io.label_raster import LabelRaster
from geocobot.io.scene import Scene
from geocobot.windows import grown

SEARCHED_PX = 16
"""How far a shift is looked for in each direction."""

_WINDOW_PX = 256
_MOST_WINDOWS = 48
_LEAST_WINDOWS = 3
_RESAMPLED = 200
_WORTH_NAMING_PX = 1.0

Plane = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Shift:
    """How far labels lie beside what they show.

    Attributes:
        east_px: of the labels from where the image has its edges, in pixels, to the east.
        south_px: likewise, to the south.
        east_m: the same on the ground, in metres.
        north_m: the same on the ground, in metres, to the north.
        error_px: standard error of each of the two, by drawing the windows anew.
        windows: how many places it was measured at.
        is_certain: whether the places agree on it, and it lies within what was searched.
    """

    east_px: float
    south_px: float
    east_m: float
    north_m: float
    error_px: float
    windows: int
    is_certain: bool

    @property
    def is_worth_naming(self) -> bool:
        """Whether it is certain, and more than a pixel."""
        far_px = math.hypot(self.east_px, self.south_px)
        return self.is_certain and far_px > max(_WORTH_NAMING_PX, 2 * self.error_px)

    def in_words(self) -> str:
        """What it is and how certain."""
        if not self.is_certain:
            return f"not clear: {self.windows} places do not agree on any shift of the labels"
        east, north = _side(self.east_m, "east", "west"), _side(self.north_m, "north", "south")
        said = f"about {east} and {north} of the edges in the image"
        far = f"{math.hypot(self.east_px, self.south_px):.1f} px"
        return f"{said} ({far}, give or take {self.error_px:.1f}, at {self.windows} places)"


def _side(metres: float, positive: str, negative: str) -> str:
    """A distance with its direction."""
    return f"{abs(metres):.2f} m {positive if metres >= 0 else negative}"


def estimate_shift(
    scene: Scene, labels: LabelRaster, survey: Survey, seed: int = 0
) -> Shift | None:
    """Find the shift of labels at which their outlines lie best on edges of the image.

    Outlines and edges are compared with their directions: the square of the image's gradient
    across the outline, summed over the outline, is a correlation of structure tensors (Förstner
    and Gülch 1987), one product of spectra per window for all shifts at once. Every window has
    the same say; gradients are tempered, so that a few bright roofs do not rule.

    Args:
        scene: the image.
        labels: on its grid.
        survey: of both.
        seed: of which places are looked at, and of drawing them anew.

    Returns:
        The shift; None where fewer than three places have an outline.
    """
    rng = np.random.default_rng(seed)
    planes = []
    for window in _places(survey, rng):
        agreement = _agreement(scene, labels, window)
        if agreement is not None:
            planes.append(agreement)
    if len(planes) < _LEAST_WINDOWS:
        return None
    stack = np.stack(planes)
    down, right = _peak(stack.sum(axis=0))
    draws = rng.integers(len(stack), size=(_RESAMPLED, len(stack)))
    peaks = np.array([_peak(stack[draw].sum(axis=0)) for draw in draws])
    error_px = float(np.sqrt(np.mean((peaks - (down, right)) ** 2, axis=0)).max())
    width_m, height_m = scene.grid.ground_pixel_m
    within = max(abs(down), abs(right)) < SEARCHED_PX - 1
    # Labels to the east of an edge have the edge to their west.
    return Shift(
        east_px=-right,
        south_px=-down,
        east_m=-right * width_m,
        north_m=down * height_m,
        error_px=error_px,
        windows=len(stack),
        is_certain=within and error_px < _WORTH_NAMING_PX,
    )


def _places(survey: Survey, rng: np.random.Generator) -> Sequence[Window]:
    """Windows that show both something labelled and something else, drawn from all there are."""
    height, width = survey.grid.shape
    candidates = [
        Window(col, row, min(_WINDOW_PX, width - col), min(_WINDOW_PX, height - row))
        for row in range(0, height, _WINDOW_PX)
        for col in range(0, width, _WINDOW_PX)
    ]
    counts = survey.counts(candidates)
    mixed = np.flatnonzero((counts > 0).sum(axis=1) > 1)
    if len(mixed) > _MOST_WINDOWS:
        mixed = rng.choice(mixed, _MOST_WINDOWS, replace=False)
    return [candidates[k] for k in np.sort(mixed)]


def _agreement(scene: Scene, labels: LabelRaster, window: Window) -> Plane | None:
    """How well outlines lie on edges (2 S + 1, 2 S + 1) by shift of the edges, S in each direction.

    None where there is no outline or no edge.
    """
    around = grown(window, SEARCHED_PX)
    patch = scene.read(around)
    edges = _edges(patch.image.astype(np.float64), patch.valid)
    outlines = _outlines(labels.read(around).classes)
    outlines[:, ~patch.valid] = 0
    for axis in (1, 2):
        for rim in (slice(None, SEARCHED_PX), slice(-SEARCHED_PX, None)):
            outlines[(slice(None),) * axis + (rim,)] = 0
    total = outlines[0].sum() + outlines[2].sum()
    if total <= 0 or edges is None:
        return None
    weights = np.array([1.0, 2.0, 1.0])[:, None, None]
    spectrum = (np.conj(np.fft.rfft2(outlines)) * np.fft.rfft2(edges) * weights).sum(axis=0)
    plane = np.fft.irfft2(spectrum, s=outlines.shape[1:]) / total
    side = np.arange(-SEARCHED_PX, SEARCHED_PX + 1)
    near = plane[np.ix_(side, side)]
    return np.asarray(near - near.mean())


def _edges(image: Plane, valid: npt.NDArray[np.bool_]) -> Plane | None:
    """Tempered structure tensor xx, xy, yy (3, H, W) of an image (C, H, W); None of a flat one."""
    if not valid.any():
        return None
    values = image[:, valid]
    spread = values.std(axis=1)
    if not (spread > 0).any():
        return None
    scaled = (image - values.mean(axis=1)[:, None, None]) / np.where(spread > 0, spread, 1.0)[
        :, None, None
    ]
    tensor = _tensor(np.where(valid, scaled, 0.0))
    # At the border of what is valid the gradient is that of the border.
    tensor[:, _blurred((~valid).astype(np.float64)) > 0] = 0.0
    strength = tensor[0] + tensor[2]
    usual = float(np.median(strength[strength > 0])) if (strength > 0).any() else 0.0
    if usual <= 0:
        return None
    tempered: Plane = tensor / (strength + 4 * usual)
    return tempered


def _outlines(classes: npt.NDArray[np.uint8]) -> Plane:
    """Structure tensor xx, xy, yy (3, H, W) of the outlines of classes (H, W)."""
    numbers = [n for n in np.unique(classes).tolist() if n not in (BACKGROUND, IGNORE)]
    if not numbers:
        return np.zeros((3, *classes.shape))
    tensor = _tensor(np.stack([(classes == n).astype(np.float64) for n in numbers]))
    tensor[:, _blurred((classes == IGNORE).astype(np.float64)) > 0] = 0.0
    return tensor


def _tensor(planes: Plane) -> Plane:
    """Structure tensor xx, xy, yy (3, H, W) of planes (C, H, W), summed over them."""
    found = np.zeros((3, *planes.shape[1:]))
    for plane in planes:
        down, right = np.gradient(_blurred(plane))
        found += np.stack([right * right, right * down, down * down])
    return found


def _blurred(plane: Plane) -> Plane:
    """A plane (H, W) after a binomial filter of 5 px, its edge repeated."""
    kernel = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    for axis in (0, 1):
        padded = np.pad(plane, [(2, 2) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        length = plane.shape[axis]
        parts = [np.take(padded, np.arange(k, k + length), axis=axis) for k in range(5)]
        plane = np.tensordot(kernel, np.stack(parts), axes=1)
    return plane


def _peak(plane: Plane) -> tuple[float, float]:
    """Row and column of the largest value, counted from the middle, to a part of a pixel."""
    row, col = np.unravel_index(int(plane.argmax()), plane.shape)
    middle = plane.shape[0] // 2
    return (
        float(row - middle) + _vertex(plane[:, col], int(row)),
        float(col - middle) + _vertex(plane[row], int(col)),
    )


def _vertex(line: Plane, at: int) -> float:
    """Where the parabola through a largest value and its neighbors is highest, from there."""
    if not 0 < at < len(line) - 1:
        return 0.0
    before, here, after = line[at - 1 : at + 2]
    bend = before - 2 * here + after
    return 0.0 if bend == 0 else float(0.5 * (before - after) / bend)
