"""Take away from a network what thinning drew and no road has."""

from __future__ import annotations

import heapq

import numpy as np

from geocobot.centerlines.lines import Line
from geocobot.centerlines.network import Network
from geocobot.tracing.components import connected
from geocobot.tracing.pixel_sizes import RowSizes

_SPUR_WIDTHS = 1.0
"""A spur shorter than so many widths of the class where it branches off is pruned."""

_JOINED_RADII = 1.0
"""Junctions nearer than so many of the larger one's radii are one."""

_ISLAND_RADII = 4.0
"""A line from a joined junction to itself is dropped up to so many of its radii."""


def prune_spurs(network: Network) -> None:
    """Prune spurs shorter than the local width, the shortest ones first.

    A junction that keeps two lines is none any more, and they become one. Where a line forks at
    its end, one of the two branches stays, so that no line becomes shorter.
    """
    waiting = [(line.length_px, key) for key, line in network.lines.items()]
    heapq.heapify(waiting)
    while waiting:
        length, key = heapq.heappop(waiting)
        if key not in network.lines or (junction := _junction_of(network, key)) is None:
            continue
        if length >= _SPUR_WIDTHS * _width_px(network, junction, key):
            continue
        network.remove(key)
        joined = network.dissolve(junction)
        if joined is not None:
            heapq.heappush(waiting, (network.lines[joined].length_px, joined))


def join_junctions(network: Network) -> None:
    """Make one node of junctions that lie within each other's width, the nearest ones first."""
    waiting = [(line.length_px, key) for key, line in network.lines.items()]
    heapq.heapify(waiting)
    while waiting:
        length, key = heapq.heappop(waiting)
        if key not in network.lines:
            continue
        a, b = network.lines[key].nodes
        if a == b or min(network.degree(a), network.degree(b)) < 3:
            continue
        if (network.nodes[a].radius, -a) < (network.nodes[b].radius, -b):
            a, b = b, a
        most = _JOINED_RADII * network.nodes[a].radius
        away = float(np.hypot(*(network.nodes[a].xy - network.nodes[b].xy)))
        away += network.nodes[a].spread + network.nodes[b].spread
        if max(length, away) > most:
            continue
        network.remove(key)
        for moved in network.merge(b, a):
            line = network.lines[moved]
            if line.nodes == (a, a) and line.length_px <= _ISLAND_RADII * most:
                network.remove(moved)
            else:
                heapq.heappush(waiting, (line.length_px, moved))
        network.dissolve(a)


def drop_blobs(network: Network) -> None:
    """Drop lines without a junction that are shorter than the class is wide there."""
    for key, line in list(network.lines.items()):
        alone = all(network.degree(node) == 1 for node in line.nodes)
        if alone and line.length_px <= 2 * line.radius[2]:
            network.remove(key)


def drop_small(network: Network, sizes: RowSizes, least_m2: float) -> None:
    """Drop lines that meet, and rings, that cover less than an area together.

    It is the length of all of them times their widths, and half a square more at each free end.
    """
    keys = list(network.lines)
    ends = np.array([network.lines[key].nodes for key in keys], dtype=np.int64).reshape(-1, 2)
    nodes, index = np.unique(ends, return_inverse=True)
    a, b = index.reshape(-1, 2).T
    group = connected(nodes.size, a, b)[a]
    area_m2 = np.zeros(nodes.size)
    for key, place in zip(keys, group, strict=True):
        line = network.lines[key]
        free = sum(network.degree(node) == 1 for node in line.nodes)
        area_m2[place] += _covered_m2(line, sizes, free)
    for key, is_small in zip(keys, area_m2[group] < least_m2, strict=True):
        if is_small:
            network.remove(key)
    network.rings[:] = [r for r in network.rings if _covered_m2(r, sizes, 0) >= least_m2]


def _covered_m2(line: Line, sizes: RowSizes, free_ends: int) -> float:
    """Length times width on the ground."""
    pixel_m = sizes.at(line.xy[:, 1].mean())
    length_m = float(np.hypot(*(np.diff(line.xy, axis=0) * pixel_m).T).sum())
    width_m = line.width_sum / line.width_n if line.width_n else 0.0
    return (length_m + free_ends * width_m / 2) * width_m


def _width_px(network: Network, junction: int, spur: int) -> float:
    """Width of the class at a junction, or of the widest other line there on average."""
    others = [network.lines[key].radius[2] for key in network.at(junction) if key != spur]
    return 2 * max(network.nodes[junction].radius, *others)


def _junction_of(network: Network, key: int) -> int | None:
    """The junction of a line that ends freely on its other side."""
    a, b = network.lines[key].nodes
    if network.degree(a) == 1 and network.degree(b) >= 3:
        return b
    if network.degree(b) == 1 and network.degree(a) >= 3:
        return a
    return None
