"""Scenes without labels, read into memory as far as there is room."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rasterio.windows import Window

from geocobot.bands import normalize
from geocobot.config import PretrainOptions
from geocobot.errors import BandError, ConfigError
from geocobot.io.files import find_rasters
from geocobot.io.scene import Scene
from geocobot.io.source import ALL_BANDS, N_INPUT_BANDS, enough_bands
from geocobot.io.statistics import measure_ranges
from geocobot.progress import Progress
from geocobot.training.pretrain.images import ImageBank

_WINDOW_PX = 1024
_MAX_WINDOWS = 160  # half a gigabyte
_LEAST_PX = 128
_LEAST_VALID = 0.9


def open_unlabelled(options: PretrainOptions) -> tuple[Scene, ...]:
    """Open the scenes; reads no pixel.

    Raises:
        ConfigError: more bands are asked for than a base sees.
        GeocobotError: a scene cannot be used.
    """
    bands = enough_bands(options.bands)
    if bands is not None and (len(bands) > N_INPUT_BANDS or bands == (ALL_BANDS,)):
        raise ConfigError(
            f"--bands {','.join(map(str, bands))}",
            "is not three bands",
            "A base learns from red, green and blue; what more bands are worth is learned by "
            "geocobot train",
            "Name three bands, such as 3,2,1, or leave it out for the first three",
        )
    return tuple(
        Scene.open(path, bands=bands, nodata=options.nodata)
        for path in find_rasters(options.raster or (), asset=options.asset)
    )


def read_bank(
    scenes: Sequence[Scene], seed: int, progress: Progress
) -> tuple[ImageBank | None, str]:
    """Read windows of the scenes, each scene stretched by its own range of values.

    Args:
        scenes: of any kind.
        seed: of the draw, where not all windows have room.
        progress: is told of every window.

    Returns:
        The windows, None without scenes; and the SHA-256 of all that was read.

    Raises:
        UnreadableFileError: a scene cannot be read.
        BandError: a scene has no pixel with data, or none of them enough of it in one place.
    """
    wanted = [(scene, window) for scene in scenes for window in _windows(scene)]
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(wanted))[:_MAX_WINDOWS]
    ranges = {scene.path: measure_ranges([scene], seed) for scene in scenes}
    digest = hashlib.sha256()
    kept: list[torch.Tensor] = []
    with progress.task("Reading scenes", len(order)) as task:
        for index in sorted(order):
            scene, window = wanted[index]
            patch = scene.read(window)
            task.advance()
            seen = _with_data(patch.valid)
            valid = patch.valid[seen]
            if min(valid.shape) < _LEAST_PX or valid.mean() < _LEAST_VALID:
                continue
            image = normalize(patch.image[:, *seen], valid, ranges[scene.path])
            pixels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
            digest.update(pixels.tobytes())
            kept.append(torch.from_numpy(pixels))
    if scenes and not kept:
        raise BandError(
            ", ".join(scene.name for scene in scenes),
            f"has no part of {_LEAST_PX} x {_LEAST_PX} px that is {_LEAST_VALID:.0%} data",
            "geocobot pretrain cuts crops from such parts",
            "Name larger scenes, correct a wrong nodata value with --nodata, or leave --raster out",
        )
    return (ImageBank(kept) if kept else None), digest.hexdigest()


def name_source(scene: Scene) -> str:
    """A scene's name behind that of its folder, for the record; never what follows a `?`."""
    folder = Path(scene.path.partition("?")[0]).parent.name
    return f"{folder}/{scene.name}" if folder else scene.name


def _with_data(valid: npt.NDArray[np.bool_]) -> tuple[slice, slice]:
    """The rows and columns between the first and the last pixel with data."""
    rows, cols = np.flatnonzero(valid.any(1)), np.flatnonzero(valid.any(0))
    if not rows.size:
        return slice(0), slice(0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(cols[0]), int(cols[-1]) + 1)


def _windows(scene: Scene) -> list[Window]:
    """Windows that cover a scene, those at its far edges smaller; slivers are left out."""
    height, width = scene.grid.shape
    return [
        Window(col, row, min(_WINDOW_PX, width - col), min(_WINDOW_PX, height - row))
        for row in range(0, height, _WINDOW_PX)
        for col in range(0, width, _WINDOW_PX)
        if min(width - col, height - row) >= _LEAST_PX
    ]
