"""What the model sees of a scene: which bands, and which values are dark and bright."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

NO_DATA_FILL = 0.5
"""Value of a normalized image where it is not valid: mid-gray."""


@dataclass(frozen=True)
class BandRange:
    """One input band and the range of values that carries its contrast.

    Attributes:
        band: number of the band in the file, from 1.
        name: its description in the file, or "band 3".
        dtype: NumPy name of the file's data type, such as "uint16".
        low: value that becomes 0, such as the 2nd percentile of the training scenes.
        high: value that becomes 1, such as the 98th percentile; always above `low`.
    """

    band: int
    name: str
    dtype: str
    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse a range that is empty in float32, in which `normalize` computes."""
        if not np.float32(self.high) > np.float32(self.low):
            raise ValueError(f"range of {self.name}: high {self.high} is not above low {self.low}")


def ranges_for(ranges: Sequence[BandRange], dtype: str | None = None) -> tuple[BandRange, ...]:
    """The ranges of one data type, one per band; a model may know several types.

    Args:
        ranges: of all data types that a model has learned from.
        dtype: NumPy name of the type; None for the first one.
    """
    wanted = ranges[0].dtype if dtype is None else dtype
    return tuple(r for r in ranges if r.dtype == wanted)


def normalize(
    image: npt.NDArray[np.generic], valid: npt.NDArray[np.bool_], ranges: Sequence[BandRange]
) -> npt.NDArray[np.float32]:
    """Scale raw values to 0..1 by the training scene's ranges.

    Values outside the range go on linearly for half a range and are cut there, so that a model
    meets brighter roofs than it was trained on without an outlier ruling the tile.

    Args:
        image: (C, H, W), any real dtype, bands in the order of `ranges`.
        valid: (H, W), True where there is data.
        ranges: one per band.

    Returns:
        (C, H, W) float32 in -0.5..1.5; `NO_DATA_FILL` where not valid.
    """
    if not valid.any():
        return np.full(image.shape, NO_DATA_FILL, dtype=np.float32)
    if image.dtype == np.uint8:
        every = np.broadcast_to(np.arange(256, dtype=np.uint8), (len(image), 1, 256))
        table = _scaled(every, ranges)[:, 0]
        scaled = np.empty(image.shape, dtype=np.float32)
        for own, plane, out in zip(table, image, scaled, strict=True):
            # Nothing is cut off; but numpy is several times faster where it need not ask.
            own.take(plane, out=out, mode="clip")
    else:
        scaled = _scaled(image, ranges)
    if not valid.all():
        np.copyto(scaled, np.float32(NO_DATA_FILL), where=~valid)
    return scaled


def _scaled(image: npt.NDArray[np.generic], ranges: Sequence[BandRange]) -> npt.NDArray[np.float32]:
    """The same, where every pixel is valid."""
    low = np.array([r.low for r in ranges], dtype=np.float32)[:, None, None]
    high = np.array([r.high for r in ranges], dtype=np.float32)[:, None, None]
    # The nodata value of a float64 raster may be too large for float32.
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (image.astype(np.float32) - low) / (high - low)
    return np.clip(scaled, -0.5, 1.5, out=scaled)
