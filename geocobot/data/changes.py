"""How samples are changed in training: draws of geometry, light, haze and sensor."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Some samples stay as they are, so that a network also meets the scene's own colors and pixels.
_WARPED_SHARE = 0.75
_RELIT_SHARE = 0.5
_HAZY_SHARE = 0.1
_NOISY_SHARE = 0.15
_BLIND_SHARE = 0.03

# From where a pixel comes after a flip and after a quarter turn, x to the east and y to the south.
_FLIP = np.diag([-1.0, 1.0])
_QUARTER = np.array([[0.0, -1.0], [1.0, 0.0]])


@dataclass(frozen=True)
class Warp:
    """How a sample lies on its square.

    One small scene shows few sizes and fewer directions: a network learns its streets by heart
    and misses those that run otherwise. benchmarks/README.md has the figures.

    Attributes:
        turn: 0 to 7: quarter turns in the lower two bits, a flip before them in the third.
        angle_rad: turn about the center beyond that.
        zoom: size of things, 1 as they are.
    """

    turn: int = 0
    angle_rad: float = 0.0
    zoom: float = 1.0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Warp:
        """Draw a warp; all directions are equally likely."""
        turn = int(rng.integers(8))
        if rng.random() >= _WARPED_SHARE:
            return cls(turn)
        return cls(
            turn,
            angle_rad=float(rng.uniform(-np.pi / 4, np.pi / 4)),
            zoom=float(np.exp(rng.uniform(-0.35, 0.35))),
        )

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """(2, 2): where a pixel comes from, both places counted from the center."""
        cos, sin = math.cos(self.angle_rad), math.sin(self.angle_rad)
        free = np.array([[cos, -sin], [sin, cos]]) / self.zoom
        turned = np.linalg.matrix_power(_QUARTER, self.turn & 3)
        flipped = _FLIP if self.turn & 4 else np.eye(2)
        matrix: npt.NDArray[np.float64] = flipped @ turned @ free
        return matrix


@dataclass(frozen=True)
class Light:
    """How a sample's light differs from the scene's.

    The ranges are wide because one scene shows one sun and one season, and a network that may
    rely on them does: benchmarks/README.md has the figures.

    Attributes:
        contrast: factor of the distance to mid-gray.
        brightness: added to every band, in units of the normalized range.
        balance: added to each band, C values; empty for none.
        saturation: factor of each band's distance to the mean of the bands.
        gamma: exponent of the normalized value.
    """

    contrast: float = 1.0
    brightness: float = 0.0
    balance: tuple[float, ...] = ()
    saturation: float = 1.0
    gamma: float = 1.0

    @classmethod
    def draw(cls, rng: np.random.Generator, bands: int) -> Light:
        """Draw a light for so many bands."""
        if rng.random() >= _RELIT_SHARE:
            return cls()
        return cls(
            contrast=float(rng.uniform(0.65, 1.35)),
            brightness=float(rng.uniform(-0.2, 0.2)),
            balance=tuple(float(v) for v in rng.uniform(-0.1, 0.1, bands)),
            saturation=float(rng.uniform(0.3, 1.4)),
            gamma=float(np.exp(rng.uniform(-0.4, 0.4))),
        )


@dataclass(frozen=True)
class Haze:
    """A bright veil, thicker towards one side.

    Attributes:
        density: share of the veil in the middle; 0 for clear air.
        slope_xy: how much denser it is at the east and the south edge.
        brightness: of the veil.
    """

    density: float = 0.0
    slope_xy: tuple[float, float] = (0.0, 0.0)
    brightness: float = 1.0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Haze:
        """Draw clear air, or a veil that leaves the ground visible."""
        if rng.random() >= _HAZY_SHARE:
            return cls()
        density = float(rng.uniform(0.05, 0.35))
        angle = float(rng.uniform(0.0, 2 * np.pi))
        slope = density * float(rng.uniform(0.0, 0.8))
        return cls(
            density,
            slope_xy=(slope * math.cos(angle), slope * math.sin(angle)),
            brightness=float(rng.uniform(0.8, 1.1)),
        )


@dataclass(frozen=True)
class Sensor:
    """How a sample's sensor differs from the scene's.

    Attributes:
        noise: standard deviation of what is added to every value.
        seed: of the noise.
        blind: the band that says nothing; None where all do.
    """

    noise: float = 0.0
    seed: int = 0
    blind: int | None = None

    @classmethod
    def draw(cls, rng: np.random.Generator, bands: int) -> Sensor:
        """Draw a sensor of so many bands; the only band there is never goes blind."""
        noise = float(rng.uniform(0.01, 0.05)) if rng.random() < _NOISY_SHARE else 0.0
        blind = int(rng.integers(bands)) if rng.random() < _BLIND_SHARE and bands > 1 else None
        return cls(noise, seed=int(rng.integers(2**62)), blind=blind)


@dataclass(frozen=True)
class Change:
    """What becomes of a sample."""

    warp: Warp
    light: Light
    haze: Haze
    sensor: Sensor

    @classmethod
    def draw(cls, rng: np.random.Generator, bands: int) -> Change:
        """Draw a change for a sample of so many bands."""
        return cls(Warp.draw(rng), Light.draw(rng, bands), Haze.draw(rng), Sensor.draw(rng, bands))
