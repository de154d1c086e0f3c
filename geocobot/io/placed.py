"""Areas on the grid of a scene, whatever they were drawn with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import reduce
from typing import Protocol

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from geocobot.grid import GeoGrid
from geocobot.windows import around


class PlacedArea(Protocol):
    """An area on the grid of a scene, asked window by window: it is never there as a whole."""

    def read(self, window: Window) -> npt.NDArray[np.uint8]:
        """Where (H, W) a window that lies on the grid is within it: above 0 there, 0 elsewhere."""

    def around(self) -> Window | None:
        """The smallest window that covers it, which may overhang; None where none of it is near."""

    def digest(self) -> str:
        """A checksum that changes with what it covers."""

    def close(self) -> None:
        """Close this process's handles; who reads again opens others."""


class Placeable(Protocol):
    """An area that is not yet tied to a scene."""

    def on(self, grid: GeoGrid) -> PlacedArea:
        """The same on the grid of a scene."""


@dataclass(frozen=True, eq=False)
class AreaUnion:
    """Areas together.

    Attributes:
        parts: on the same grid; at least one.
    """

    parts: tuple[PlacedArea, ...]

    def read(self, window: Window) -> npt.NDArray[np.uint8]:
        """Above 0 where (H, W) a window is within any of them."""
        return reduce(np.maximum, (part.read(window) for part in self.parts))

    def around(self) -> Window | None:
        """The smallest window that covers them all; None where none of them is near."""
        found = [window for part in self.parts if (window := part.around()) is not None]
        return around(found) if found else None

    def digest(self) -> str:
        """A checksum of theirs."""
        return hashlib.sha256("".join(part.digest() for part in self.parts).encode()).hexdigest()

    def close(self) -> None:
        """Close the handles of all."""
        for part in self.parts:
            part.close()
