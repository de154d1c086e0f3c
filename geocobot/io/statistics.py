"""Which values of scenes are dark and bright."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from geocobot.bands import BandRange
from geocobot.config.values import StretchName
from geocobot.errors import BandError, ConfigError
from geocobot.io.scene import Scene

_PERCENTILES = (2.0, 98.0)
_DEVIATIONS = 2.0
_BLOCK_PX = 256
_MAX_BLOCKS = 48  # 3.1 million pixels: 75 MB in float64 with three bands


def measure_ranges(
    scenes: Sequence[Scene], seed: int = 0, stretch: StretchName = "percentiles"
) -> tuple[BandRange, ...]:
    """Measure which values of the valid pixels are dark and bright, band by band.

    Reads at most 48 windows of 256 px with data of each data type, drawn from all its scenes
    together, so that time and memory do not grow with them. A band without contrast gets a range
    around its value.

    Args:
        scenes: at least one; all with the same bands.
        seed: of the draw.
        stretch: the 2nd to 98th percentile, or two standard deviations about the mean.

    Returns:
        One range per entry of the scenes' `bands`, for one data type after the other.

    Raises:
        BandError: the scenes differ in bands, or those of a type have no valid pixel.
    """
    return tuple(
        BandRange(number, name, alike[0].dtype, *_range_of(values, stretch))
        for alike in _by_type(scenes)
        for number, name, values in zip(
            alike[0].bands, alike[0].band_names, _sample(alike, seed), strict=True
        )
    )


def fixed_ranges(scenes: Sequence[Scene], limits: Sequence[float]) -> tuple[BandRange, ...]:
    """The same ranges whatever the pixels are.

    Args:
        scenes: at least one; all with the same bands.
        limits: low and high for all bands, or for one after the other.

    Raises:
        BandError: the scenes differ in bands.
        ConfigError: there are not two limits, or two per band, or a high is not above its low.
    """
    groups = _by_type(scenes)
    n_bands = len(scenes[0].bands)
    given = tuple(limits) * n_bands if len(limits) == 2 else tuple(limits)
    pairs = list(zip(given[::2], given[1::2], strict=False))
    if len(given) != 2 * n_bands or not all(_are_apart(*pair) for pair in pairs):
        raise ConfigError(
            "--value-range",
            f"is {','.join(f'{value:g}' for value in limits)}",
            f"It has a low and a higher high for all bands, or so for each of {n_bands}",
            "Write it as 0,3000, or leave it out to have the values measured",
        )
    return tuple(
        BandRange(number, name, alike[0].dtype, *pair)
        for alike in groups
        for number, name, pair in zip(alike[0].bands, alike[0].band_names, pairs, strict=True)
    )


def _by_type(scenes: Sequence[Scene]) -> list[list[Scene]]:
    """Scenes whose values can be pooled; those of other types count otherwise.

    Raises:
        BandError: they are not read with the same bands.
    """
    first = scenes[0]
    groups: dict[str, list[Scene]] = {}
    for scene in scenes:
        if scene.bands != first.bands:
            raise BandError(
                scene.path,
                f"is read with bands {scene.bands}",
                f"All scenes of a training need the same, and {first.path} has bands {first.bands}",
                "Train on them separately, or bring them to the same bands first",
            )
        groups.setdefault(scene.dtype, []).append(scene)
    return list(groups.values())


def _sample(scenes: Sequence[Scene], seed: int) -> list[npt.NDArray[np.float64]]:
    """Valid values (N,) per band from blocks drawn without replacement."""
    parts: list[npt.NDArray[np.generic]] = []
    for scene, window in _draw_blocks(scenes, seed):
        patch = scene.read(window)
        if patch.valid.any():
            parts.append(patch.image[:, patch.valid])
        if len(parts) == _MAX_BLOCKS:
            break
    if not parts:
        raise BandError(
            " and ".join(s.path for s in scenes),
            "has no pixel with data: all is nodata, masked or transparent",
            "geocobot needs valid pixels",
            "Check the file in QGIS, or correct its nodata value with --nodata",
        )
    return list(np.concatenate(parts, axis=1).astype(np.float64))


def _draw_blocks(scenes: Sequence[Scene], seed: int) -> Iterator[tuple[Scene, Window]]:
    """All blocks of all scenes in random order."""
    shapes = [(-(-s.grid.height // _BLOCK_PX), -(-s.grid.width // _BLOCK_PX)) for s in scenes]
    starts = np.cumsum([0, *(rows * cols for rows, cols in shapes)])
    for index in np.random.default_rng(seed).permutation(starts[-1]):
        i = int(np.searchsorted(starts, index, side="right")) - 1
        row, col = divmod(int(index - starts[i]), shapes[i][1])
        yield scenes[i], Window(col * _BLOCK_PX, row * _BLOCK_PX, _BLOCK_PX, _BLOCK_PX)


def _range_of(
    values: npt.NDArray[np.float64], stretch: StretchName = "percentiles"
) -> tuple[float, float]:
    """Low and high of one band's values (N,), apart even in float32."""
    if stretch == "percentiles":
        low, high = (float(v) for v in np.percentile(values, _PERCENTILES))
    else:
        reach = _DEVIATIONS * float(values.std())
        low, high = float(values.mean()) - reach, float(values.mean()) + reach
    if not _are_apart(low, high):
        low, high = float(values.min()), float(values.max())
    if not _are_apart(low, high):
        # The value becomes mid-gray; a thousandth of it survives float32 whatever its size.
        half = max(0.5, abs(low) / 1000)
        low, high = low - half, high + half
    return low, high


def _are_apart(low: float, high: float) -> bool:
    """Whether float32, with its seven digits, has values between the two."""
    return high - low > 1e-6 * max(abs(low), abs(high))
