from __future__ import annotations

import numpy as np
import pytest

from geocobot.synthetic.frame import Frame, rng_for
from geocobot.synthetic.noise import Relief, fractal_noise, grain, smooth_noise, stripes

from .conftest import CRS_OF_FRAMES

WIDE = Frame.of(CRS_OF_FRAMES, (400, 400), 1.0)


@pytest.mark.parametrize("scale_m", [4.0, 12.0])
def test_smooth_noise_is_centered_and_of_unit_strength(scale_m: float) -> None:
    noise = smooth_noise(np.random.default_rng(0), WIDE, scale_m)
    assert abs(noise.mean()) < 0.1
    assert 0.85 < noise.std() < 1.15


def test_neighbors_agree_within_a_bump_and_not_beyond() -> None:
    noise = smooth_noise(np.random.default_rng(0), WIDE, 12.0)

    def correlation(shift: int) -> float:
        return float(np.corrcoef(noise[:, :-shift].ravel(), noise[:, shift:].ravel())[0, 1])

    assert correlation(1) > 0.95
    assert abs(correlation(40)) < 0.1


def test_noise_is_fixed_to_the_ground_at_every_pixel_size() -> None:
    fine = smooth_noise(np.random.default_rng(1), Frame.of(CRS_OF_FRAMES, (200, 200), 0.5), 20.0)
    coarse = smooth_noise(np.random.default_rng(1), Frame.of(CRS_OF_FRAMES, (50, 50), 2.0), 20.0)
    averaged = fine.reshape(50, 4, 50, 4).mean(axis=(1, 3))
    assert np.abs(averaged - coarse).max() < 0.05


def test_octaves_finer_than_a_pixel_are_left_away() -> None:
    coarse = Frame.of(CRS_OF_FRAMES, (60, 60), 10.0)
    one, five = (
        fractal_noise(np.random.default_rng(2), coarse, 12.0, octaves=n, gain=0.5) for n in (1, 5)
    )
    strength = np.sqrt(sum(0.25**n for n in range(5)))
    assert np.allclose(five * strength, one, atol=1e-5)


def test_relief_under_a_cut_is_the_relief_there() -> None:
    relief = Relief.of(0, WIDE)
    cut = WIDE.cut((10.0, 20.0, 60.0, 40.0))
    assert cut is not None
    part = relief.under(cut)
    assert part.fine.shape == cut.shape == (20, 50)
    assert np.array_equal(part.broad, relief.broad[360:380, 10:60])


def test_stripes_repeat_with_their_spacing() -> None:
    across = np.broadcast_to(np.arange(0.125, 40.0, 0.25, dtype=np.float32), (3, 160))
    rows = stripes(rng_for(0, "rows"), across, 4.0, 0.0)
    assert np.abs(rows).max() <= 1
    assert np.array_equal(np.sign(rows[0, :16]), np.sign(rows[0, 16:32]))
    assert (rows[0, :8] > 0).all()
    assert (rows[0, 8:16] < 0).all()


def test_grain_has_the_strength_asked_for() -> None:
    assert grain(np.random.default_rng(0), WIDE.whole, 0.2).std() == pytest.approx(0.2, rel=0.05)
