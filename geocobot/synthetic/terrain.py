"""The ground: grass, fields, yards."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from geocobot.synthetic.blocks import Block, Use
from geocobot.synthetic.frame import Array, Canvas, Cut, rgb, rng_for
from geocobot.synthetic.noise import Relief, grain, stripes
from geocobot.synthetic.shapes import inside, turned

_CROPS = (rgb(98, 114, 72), rgb(116, 126, 80), rgb(164, 152, 108), rgb(128, 134, 92))
_SOILS = (rgb(134, 126, 114), rgb(120, 117, 113), rgb(140, 136, 129), rgb(109, 105, 102))


def paint_ground(canvas: Canvas, relief: Relief) -> None:
    """Cover everything with grass, here lush, there dry."""
    dry = np.clip(0.45 + 0.22 * relief.broad + 0.16 * relief.patchy, 0, 1)
    lush, straw = rgb(96, 112, 70), rgb(150, 144, 106)
    canvas.color[:] = lush + dry * (straw - lush)
    canvas.color *= 1 + 0.07 * relief.fine


def paint_blocks(canvas: Canvas, blocks: Sequence[Block], relief: Relief, seed: int) -> None:
    """Paint what the land between the roads is used for."""
    rngs = rng_for(seed, "terrain").spawn(len(blocks))
    for block, rng in zip(blocks, rngs, strict=True):
        painter = _PAINTERS.get(block.use)
        cut = canvas.frame.cut(block.polygon.bounds)
        if painter is None or cut is None:
            continue
        color = painter(rng, block, cut, relief.under(cut))
        canvas.paint(cut, inside(block.polygon, cut).astype(np.float32), color)


def _field(rng: np.random.Generator, block: Block, cut: Cut, relief: Relief) -> Array:
    """Strips of crops, each with its own rows, tramlines and bare patches."""
    return _strips(rng, block, cut, relief, _CROPS)


def _fallow(rng: np.random.Generator, block: Block, cut: Cut, relief: Relief) -> Array:
    """Strips of ploughed soil, some of it as gray as a road."""
    return _strips(rng, block, cut, relief, _SOILS)


def _strips(
    rng: np.random.Generator, block: Block, cut: Cut, relief: Relief, palette: Sequence[Array]
) -> Array:
    """Strip fields along the block's longest side."""
    center = block.polygon.centroid
    p, q = turned(cut, center.x, center.y, block.angle)
    width_m = rng.uniform(38.0, 75.0)
    strip = np.floor((q + 1.5 * relief.broad) / np.float32(width_m)).astype(np.intp)
    color = np.zeros((3, *cut.shape), np.float32)
    for number in np.unique(strip):
        base = palette[int(rng.integers(len(palette)))] * rng.uniform(0.86, 1.14)
        across = q if rng.uniform() < 0.75 else p
        rows = stripes(rng, across, rng.uniform(1.6, 3.4), 0.35 * relief.patchy)
        tracks = np.abs((across + 0.3 * relief.patchy) % np.float32(21.0) - 10.5) < 0.9
        shade = 1 + 0.075 * rows + 0.06 * relief.patchy + 0.05 * relief.broad + 0.05 * relief.fine
        shade -= rng.uniform(0.05, 0.12) * tracks
        color = np.where(strip == number, base * shade, color)
    to_middle = np.abs((q + 1.5 * relief.broad) % np.float32(width_m) - width_m / 2)
    is_border = to_middle > width_m / 2 - 0.8
    return np.where(is_border, rgb(104, 110, 70) * (1 + 0.1 * relief.patchy), color)


def _meadow(rng: np.random.Generator, block: Block, cut: Cut, relief: Relief) -> Array:
    """Grass in large soft patches, with mowing lines."""
    center = block.polygon.centroid
    _, q = turned(cut, center.x, center.y, block.angle + rng.normal(0, 0.1))
    mown = stripes(rng, q, rng.uniform(5.0, 8.0), 0.8 * relief.patchy)
    base = rgb(114, 126, 82) * rng.uniform(0.9, 1.15)
    shade = 1 + 0.03 * mown + 0.1 * relief.patchy + 0.06 * relief.broad
    return np.asarray(base * shade, np.float32)


def _forest_floor(rng: np.random.Generator, block: Block, cut: Cut, relief: Relief) -> Array:
    """Dark ground between the trees."""
    del rng, block, cut
    return rgb(66, 74, 50) * (1 + 0.15 * relief.patchy)


def _park(rng: np.random.Generator, block: Block, cut: Cut, relief: Relief) -> Array:
    """Watered lawn."""
    del block, cut
    base = rgb(102, 122, 76) * rng.uniform(0.9, 1.1)
    return np.asarray(base * (1 + 0.08 * relief.patchy), np.float32)


def _yard(rng: np.random.Generator, block: Block, cut: Cut, relief: Relief) -> Array:
    """A sealed yard: the same asphalt as the roads, in another shape."""
    del block
    return asphalt(rng, cut, relief, rng.uniform(98, 142))


def asphalt(rng: np.random.Generator, cut: Cut, relief: Relief, tone: float) -> Array:
    """Worn asphalt of roads and yards alike.

    Args:
        rng: random numbers.
        cut: where.
        relief: the noise there.
        tone: mean display value, 0 to 255.
    """
    warm = rng.uniform(-3.0, 7.0)
    base = rgb(tone + warm, tone, tone - 0.8 * warm - 1)
    stains = 0.045 * relief.patchy + 0.03 * relief.fine
    return np.asarray(base * (1 + stains + grain(rng, cut, 0.03)), np.float32)


_Painter = Callable[[np.random.Generator, Block, Cut, Relief], Array]
_PAINTERS: dict[Use, _Painter] = {
    "field": _field,
    "fallow": _fallow,
    "meadow": _meadow,
    "forest": _forest_floor,
    "park": _park,
    "yard": _yard,
}
