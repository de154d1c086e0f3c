"""Take away from a network what thinning drew and no road has."""

from __future__ import annotations

import heapq

import numpy as np

from geocobot.centerlines.lines import Lines, nodes_of
from geocobot.centerlines.network import Network
from geocobot.centerlines.spurs import ISLAND_RADII
from geocobot.tracing.components import connected
from geocobot.tracing.lists import owners
from geocobot.tracing.pixel_sizes import RowSizes

_JOINED_RADII = 1.0
"""Junctions nearer than so many of the larger one's radii are one."""


def join_junctions(lines: Lines) -> Lines:
    """Make one node of junctions that lie within each other's width, the nearest ones first."""
    node, degree = nodes_of(lines)
    ends = lines.reach[:, :2]
    is_candidate = (degree[node] >= 3).all(axis=1) & (node[:, 0] != node[:, 1]) & ~lines.is_ring
    is_candidate &= lines.lengths_px() <= _JOINED_RADII * ends.max(axis=1)
    group = connected(degree.size, *node.T)
    concerned = np.zeros(degree.size, dtype=bool)
    concerned[group[node[is_candidate, 0]]] = True
    is_concerned = concerned[group[node[:, 0]]] & ~lines.is_ring
    network = Network(lines.take(np.flatnonzero(is_concerned)))
    _join_nearest(network)
    return Lines.joined([lines.take(np.flatnonzero(~is_concerned)), network.as_lines()]).ordered()


def _join_nearest(network: Network) -> None:
    """Join the junctions of a network."""
    waiting = [
        (line.length_px, key)
        for key, line in network.lines.items()
        if min(map(network.degree, line.nodes)) >= 3
    ]
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
            if line.nodes == (a, a) and line.length_px <= ISLAND_RADII * most:
                network.remove(moved)
            else:
                heapq.heappush(waiting, (line.length_px, moved))
        network.dissolve(a)


def drop_blobs(lines: Lines) -> Lines:
    """Drop lines without a junction that are shorter than the class is wide there."""
    node, degree = nodes_of(lines)
    alone = (degree[node] == 1).all(axis=1) & ~lines.is_ring
    return lines.take(np.flatnonzero(~(alone & (lines.lengths_px() <= 2 * lines.radius[:, 2]))))


def drop_small(lines: Lines, sizes: RowSizes, least_m2: float) -> Lines:
    """Drop lines that meet, and rings, that cover less than an area together.

    It is the length of all of them times their widths, and half a square more at each free end.
    """
    if not least_m2:
        return lines
    node, degree = nodes_of(lines)
    free = (degree[node] == 1).sum(axis=1) * ~lines.is_ring
    line = owners(lines.offsets)
    y = np.bincount(line, weights=lines.xy[:, 1], minlength=len(lines)) / np.diff(lines.offsets)
    step_m = np.zeros(len(lines.xy))
    step_m[1:] = np.hypot(*(np.diff(lines.xy, axis=0) * sizes.at(y)[line[1:]]).T)
    step_m[lines.offsets[:-1]] = 0
    length_m = np.bincount(line, weights=step_m, minlength=len(lines))
    width_m = lines.width_sum / np.maximum(lines.width_n, 1)
    covered_m2 = (length_m + free * width_m / 2) * width_m
    # Rings have no node: each is a group of its own.
    group = connected(degree.size, *node[~lines.is_ring].T)[node[:, 0]]
    group[lines.is_ring] = degree.size + np.flatnonzero(lines.is_ring)
    total_m2 = np.bincount(group, weights=covered_m2)
    return lines.take(np.flatnonzero(total_m2[group] >= least_m2))
