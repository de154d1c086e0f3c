"""The walls of one outline: lines in few directions, those too short taken away, corners found."""

from __future__ import annotations

from dataclasses import dataclass

SOUTHERN, WESTERN, RISING, FALLING = range(4)
"""Directions of walls: along x, along y, and the diagonals between them."""

_HALF = 0.5**0.5
_TINY = 1e-9
_NORMALS = ((0.0, 1.0), (1.0, 0.0), (-_HALF, _HALF), (_HALF, _HALF))
_PERPENDICULAR = (WESTERN, SOUTHERN, FALLING, RISING)

Point = tuple[float, float]


@dataclass
class Wall:
    """A straight part of an outline.

    Attributes:
        kind: its direction.
        offset: distance from the origin along its normal.
        weight: how long the outline is that it stands for.
        way: +1 or -1, which way the outline runs along it.
    """

    kind: int
    offset: float
    weight: float
    way: float

    def place(self, point: Point) -> float:
        """How far along the wall a point lies, the way the outline runs."""
        return self.way * _dot(_NORMALS[_PERPENDICULAR[self.kind]], point)

    def joined(self, other: Wall) -> Wall:
        """One wall instead of two parallel ones; of two that run back and forth the longer one."""
        if self.way != other.way:
            long, short = sorted((self, other), key=lambda wall: -wall.weight)
            weight = max(long.weight - short.weight, _TINY)
            return Wall(long.kind, long.offset, weight, long.way)
        weight = self.weight + other.weight
        offset = (self.offset * self.weight + other.offset * other.weight) / weight
        return Wall(self.kind, offset, weight, self.way)


def corners_of(walls: list[Wall], starts: list[Point], shortest: float) -> list[Point] | None:
    """Corners of an outline of these walls, after those shorter than `shortest` are gone.

    Args:
        walls: around the outline.
        starts: where the outline that each stands for begins.
        shortest: shorter walls are taken away, the shortest one first, while five are there.

    Returns:
        The corners, the first not repeated; None where the walls enclose nothing.
    """
    ring = _connected(walls, starts, shortest)
    while len(ring) >= 4:
        corners = _corners(ring)
        lengths = [
            wall.place(corners[(i + 1) % len(ring)]) - wall.place(corners[i])
            for i, wall in enumerate(ring)
        ]
        least = min(range(len(ring)), key=lengths.__getitem__)
        if lengths[least] >= shortest or (len(ring) == 4 and lengths[least] > 0):
            return corners
        del ring[least]
        _join_parallel(ring)
    return None


def _connected(walls: list[Wall], starts: list[Point], shortest: float) -> list[Wall]:
    """Join walls that go on in one line, and put a wall between parallel ones that do not."""
    ring: list[Wall] = []
    for wall, start in zip(walls, starts, strict=True):
        if ring and ring[-1].kind == wall.kind:
            if _are_one(ring[-1], wall, shortest):
                ring[-1] = ring[-1].joined(wall)
                continue
            ring.append(_between(ring[-1], wall, start))
        ring.append(wall)
    if len(ring) > 1 and ring[0].kind == ring[-1].kind:
        if _are_one(ring[-1], ring[0], shortest):
            ring[0] = ring.pop().joined(ring[0])
        else:
            ring.append(_between(ring[-1], ring[0], starts[0]))
    return ring


def _are_one(before: Wall, after: Wall, shortest: float) -> bool:
    """Whether two parallel walls are parts of one."""
    return before.way == after.way and abs(before.offset - after.offset) < shortest


def _between(before: Wall, after: Wall, corner: Point) -> Wall:
    """The wall across from one wall to a parallel one, through the corner of the outline."""
    kind = _PERPENDICULAR[before.kind]
    length = after.offset - before.offset
    return Wall(kind, _dot(_NORMALS[kind], corner), abs(length), 1.0 if length >= 0 else -1.0)


def _join_parallel(ring: list[Wall]) -> None:
    """Join neighbors that have become parallel, in place."""
    i = 0
    while len(ring) > 1 and i < len(ring):
        if ring[i - 1].kind == ring[i].kind:
            ring[i] = ring[i - 1].joined(ring[i])
            del ring[i - 1]
            i = max(i - 1, 0)
        else:
            i += 1


def _corners(ring: list[Wall]) -> list[Point]:
    """Where each wall meets the one before it."""
    found = []
    for i, wall in enumerate(ring):
        before = ring[i - 1]
        (a, b), (c, d) = _NORMALS[before.kind], _NORMALS[wall.kind]
        det = a * d - b * c
        p, q = before.offset, wall.offset
        found.append(((p * d - b * q) / det, (a * q - p * c) / det))
    return found


def _dot(a: Point, b: Point) -> float:
    """Scalar product."""
    return a[0] * b[0] + a[1] * b[1]
