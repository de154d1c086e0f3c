"""Painting roads: asphalt, wear, markings, pavements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geocobot.synthetic.frame import Array, Canvas, Frame, rgb, rng_for
from geocobot.synthetic.network import Network, Road
from geocobot.synthetic.noise import Relief, grain, smooth_noise
from geocobot.synthetic.shapes import coverage, segment_distance

_MARGIN_M = 7.0
_FAR_M = 50.0
_DASH_M, _GAP_M = 4.0, 6.0
_LINE_HALF_M = 0.16
_LANE_M = 1.8
_PAVED_TOWNNESS = 0.42


@dataclass(frozen=True)
class RoadField:
    """Where every pixel lies relative to its nearest road.

    Attributes:
        edge_m: (H, W) metres to the asphalt's edge, negative on the road.
        across_m: (H, W) metres to the left of the center line.
        along_m: (H, W) metres from the road's start.
        number: (H, W) index of the road.
        junction_m: (H, W) metres to the nearest junction's middle.
    """

    edge_m: Array
    across_m: Array
    along_m: Array
    number: npt.NDArray[np.intp]
    junction_m: Array


def measure_roads(frame: Frame, network: Network) -> RoadField:
    """Measure the distance of every pixel to its nearest road; far off, `edge_m` is 50."""
    shape = frame.grid.shape
    edge, junction = (np.full(shape, _FAR_M, np.float32) for _ in range(2))
    across, along = (np.zeros(shape, np.float32) for _ in range(2))
    number = np.zeros(shape, np.intp)
    for n, road in enumerate(network.roads):
        done_m = 0.0
        for start, end in zip(road.line[:-1], road.line[1:], strict=True):
            length = float(np.hypot(*(end - start)))
            reach = length / 2 + road.width_m / 2 + _MARGIN_M
            x, y = (start + end) / 2
            cut = frame.cut_around(float(x), float(y), reach)
            if cut is not None:
                apart, run, left = segment_distance(cut, start, end)
                at = cut.rows, cut.cols
                closer = apart - road.width_m / 2 < edge[at]
                edge[at] = np.where(closer, apart - np.float32(road.width_m / 2), edge[at])
                across[at] = np.where(closer, left, across[at])
                along[at] = np.where(closer, run + np.float32(done_m), along[at])
                number[at] = np.where(closer, n, number[at])
            done_m += length
    for x, y in network.junctions:
        cut = frame.cut_around(x, y, 20.0)
        if cut is not None:
            here = junction[cut.rows, cut.cols]
            np.minimum(here, np.hypot(cut.x_m - np.float32(x), cut.y_m - np.float32(y)), out=here)
    return RoadField(edge, across, along, number, junction)


def paint_roads(
    canvas: Canvas, network: Network, field: RoadField, relief: Relief, seed: int
) -> None:
    """Paint verges, pavements, asphalt and markings."""
    rng = rng_for(seed, "roads")
    whole = canvas.frame.whole
    dusty = coverage(field.edge_m - 0.5 - 0.35 * relief.patchy, 1.2) * 0.7
    canvas.paint(whole, dusty, rgb(134, 124, 104) * (1 + 0.08 * relief.fine))
    _paint_pavements(canvas, network, field, relief)
    colors = _asphalt_colors(rng, network.roads)
    surface = colors[:, field.number] * _wear(rng, canvas.frame, field, relief)
    canvas.paint(whole, coverage(field.edge_m, canvas.frame.pixel_m), surface)
    _paint_markings(canvas, network, field, relief)


def _asphalt_colors(rng: np.random.Generator, roads: Sequence[Road]) -> Array:
    """(3, N) color of each road's asphalt: new is dark, old is light, some of it warm."""
    tone = rng.choice([95.0, 109.0, 123.0, 138.0], len(roads)) + rng.normal(0, 4, len(roads))
    warm = rng.uniform(-3.0, 7.0, len(roads))
    return np.stack([tone + warm, tone, tone - 0.8 * warm - 1]).astype(np.float32) / np.float32(255)


def _wear(rng: np.random.Generator, frame: Frame, field: RoadField, relief: Relief) -> Array:
    """(H, W) brightness: wheel tracks, repairs, cracks, dirt along the edge."""
    off_lane = np.abs(np.abs(field.across_m) - _LANE_M)
    tracks = 0.035 * np.exp(-(((off_lane - 0.8) / 0.45) ** 2))
    repairs = 0.11 * (smooth_noise(rng, frame, 9.0) > 1.5)
    cracks = 0.08 * (np.abs(relief.fine) < 0.02)
    dirt = 0.1 * np.exp(np.minimum(field.edge_m, 0) / 0.5)
    stains = 0.04 * relief.patchy + 0.03 * relief.fine + 0.05 * smooth_noise(rng, frame, 35.0)
    shade = 1 + tracks - repairs - cracks - dirt + stains + grain(rng, frame.whole, 0.028)
    return np.asarray(shade, np.float32)


def _paint_pavements(canvas: Canvas, network: Network, field: RoadField, relief: Relief) -> None:
    """Concrete pavements along the streets of a town, behind a strip of grass."""
    whole = canvas.frame.whole
    is_street = np.array([r.kind in {"street", "collector"} for r in network.roads])
    in_town = _townness(canvas.frame, network) + 0.05 * relief.broad > _PAVED_TOWNNESS
    strip = coverage(np.abs(field.edge_m - 1.7) - 0.65, canvas.frame.pixel_m)
    concrete = rgb(158, 153, 143) * (1 + 0.05 * relief.fine)
    canvas.paint(whole, strip * (is_street[field.number] & in_town) * 0.9, concrete)


def _townness(frame: Frame, network: Network) -> Array:
    """(H, W) townness, measured every 32 pixels: it changes over hundreds of metres."""
    x, y = np.broadcast_arrays(frame.whole.x_m[:, ::32], frame.whole.y_m[::32])
    spots = np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float64)
    coarse = network.townness(spots).reshape(x.shape).repeat(32, axis=0).repeat(32, axis=1)
    return coarse[: frame.grid.height, : frame.grid.width].astype(np.float32)


def _paint_markings(canvas: Canvas, network: Network, field: RoadField, relief: Relief) -> None:
    """White dashes in the middle of wide roads, lines along the edges of main roads."""
    pixel_m = canvas.frame.pixel_m
    half = np.array([r.width_m / 2 for r in network.roads], np.float32)[field.number]
    is_wide = np.array([r.kind in {"main", "collector"} for r in network.roads])[field.number]
    is_main = np.array([r.kind == "main" for r in network.roads])[field.number]
    is_open = (field.junction_m > half + 5) & (field.edge_m < 0)
    is_dash = field.along_m % np.float32(_DASH_M + _GAP_M) < _DASH_M
    middle = _line_cover(field.across_m, pixel_m) * (is_dash & is_wide & is_open)
    side = _line_cover(field.edge_m + 0.45, pixel_m) * (is_main & is_open)
    fading = np.clip(0.75 - 0.05 * relief.patchy - 0.09 * relief.broad, 0.25, 0.95)
    canvas.paint(canvas.frame.whole, np.maximum(middle, side) * fading, rgb(222, 220, 212))


def _line_cover(distance_m: Array, pixel_m: float) -> Array:
    """Share of each pixel under a painted line, however thin, from the distance to its middle."""
    near, far = np.abs(distance_m) - pixel_m / 2, np.abs(distance_m) + pixel_m / 2
    covered = np.minimum(far, _LINE_HALF_M) - np.maximum(near, -_LINE_HALF_M)
    return np.clip(covered / np.float32(pixel_m), 0, 1)
