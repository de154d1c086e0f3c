"""Noise in metres: the same bumps at every ground pixel size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geocobot.synthetic.frame import Array, Cut, Frame, rng_for

# Between nodes the fade averages: along one axis the mean of t'^2 + (1 - t')^2 is 0.7835, so the
# variance of two axes falls to its square and the strength to 0.7835 itself.
_UNIT_STRENGTH = np.float32(1 / 0.7835)


def smooth_noise(rng: np.random.Generator, frame: Frame, scale_m: float) -> Array:
    """Bumps of about one size.

    Values on a square lattice, joined by Perlin's quintic fade (K. Perlin, "Improving noise",
    SIGGRAPH 2002), so that no creases show along the lattice.

    Args:
        rng: random numbers.
        frame: where.
        scale_m: distance between lattice nodes.

    Returns:
        (H, W), mean about 0, standard deviation about 1.
    """
    width_m, height_m = frame.size_m
    nodes = (int(height_m / scale_m) + 3, int(width_m / scale_m) + 3)
    lattice = rng.standard_normal(nodes).astype(np.float32)
    shift_y, shift_x = rng.uniform(0.0, 1.0, 2)
    row, fade_y = _lattice_place(frame.whole.y_m[:, 0] / scale_m + shift_y)
    col, fade_x = _lattice_place(frame.whole.x_m[0] / scale_m + shift_x)
    rows = lattice[row] + fade_y[:, None] * (lattice[row + 1] - lattice[row])
    field = rows[:, col] + fade_x * (rows[:, col + 1] - rows[:, col])
    return np.asarray(field * _UNIT_STRENGTH, dtype=np.float32)


def _lattice_place(at: Array) -> tuple[npt.NDArray[np.intp], Array]:
    """Node before each coordinate, and the faded way to the next one."""
    node = np.floor(at).astype(np.intp)
    t = (at - node).astype(np.float32)
    return node, t * t * t * (t * (t * 6 - 15) + 10)


def fractal_noise(
    rng: np.random.Generator, frame: Frame, scale_m: float, octaves: int = 4, gain: float = 0.5
) -> Array:
    """Bumps on bumps: every octave half as large and `gain` times as strong.

    Octaves finer than a pixel average out and are left away.

    Args:
        rng: random numbers.
        frame: where.
        scale_m: size of the largest bumps.
        octaves: how many sizes.
        gain: strength of an octave relative to the one before.

    Returns:
        (H, W), mean about 0, standard deviation about 1 where all octaves are seen.
    """
    total = np.zeros(frame.grid.shape, np.float32)
    power = 0.0
    for octave, own in enumerate(rng.spawn(octaves)):
        size_m, strength = scale_m / 2**octave, gain**octave
        power += strength**2
        if size_m >= frame.pixel_m:
            total += np.float32(strength) * smooth_noise(own, frame, size_m)
    return total / np.float32(np.sqrt(power))


def grain(rng: np.random.Generator, cut: Cut, strength: float) -> Array:
    """Unrelated values per pixel of a cut, (h, w), standard deviation `strength`."""
    return rng.standard_normal(cut.shape, dtype=np.float32) * np.float32(strength)


def stripes(
    rng: np.random.Generator, at_m: Array, spacing_m: float, wobble_m: Array | float
) -> Array:
    """Parallel rows, each a little lighter or darker than its neighbors.

    Args:
        rng: random numbers.
        at_m: (h, w) coordinate across the rows.
        spacing_m: from row to row.
        wobble_m: (h, w) or one number: how far rows are pushed aside.

    Returns:
        (h, w), -1 (furrow) to 1 (ridge), scaled row by row.
    """
    phase = (at_m + wobble_m) / np.float32(spacing_m)
    row = np.floor(phase).astype(np.intp)
    strength = rng.uniform(0.5, 1.0, int(np.ptp(row)) + 1).astype(np.float32)
    return np.asarray(np.sin(2 * np.pi * phase) * strength[row - row.min()], np.float32)


@dataclass(frozen=True)
class Relief:
    """Noise that all painters of one place share.

    Attributes:
        broad: (H, W) bumps of about 120 m.
        patchy: (H, W) bumps of about 12 m.
        fine: (H, W) bumps of about 2.5 m.
    """

    broad: Array
    patchy: Array
    fine: Array

    @classmethod
    def of(cls, seed: int, frame: Frame) -> Relief:
        """Draw the noise of a place."""
        broad, patchy, fine = rng_for(seed, "relief").spawn(3)
        return cls(
            fractal_noise(broad, frame, 120.0, octaves=4),
            fractal_noise(patchy, frame, 12.0, octaves=4, gain=0.7),
            fractal_noise(fine, frame, 2.5, octaves=3, gain=0.8),
        )

    def under(self, cut: Cut) -> Relief:
        """The noise under a cut, (h, w) each."""
        at = cut.rows, cut.cols
        return Relief(self.broad[at], self.patchy[at], self.fine[at])
