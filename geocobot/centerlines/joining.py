"""Put paths together across the seams of windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from geocobot.centerlines.paths import Paths
from geocobot.centerlines.sections import Sections


@dataclass(frozen=True)
class Chain:
    """Pixels from one end of a line to the other.

    Attributes:
        class_number: of the line.
        sections: of all pixels, both ends among them. A ring without a node begins and ends with
            its first pixel in reading order; lines begin at the end that comes first.
        is_ring: whether it is one.
        is_free: whether no other line meets it at its first and at its last pixel.
    """

    class_number: int
    sections: Sections
    is_ring: bool
    is_free: tuple[bool, bool]


@dataclass(frozen=True)
class _Part:
    """Paths in a row, that go on beyond a seam or not."""

    class_number: int
    paths: tuple[Sections, ...]
    goes_on: tuple[bool, bool]
    is_free: tuple[bool, bool]

    @property
    def start(self) -> int:
        """Its first pixel."""
        return int(self.paths[0].px[0])

    @property
    def end(self) -> int:
        """Its last pixel."""
        return int(self.paths[-1].px[-1])

    def reversed(self) -> _Part:
        """The same from its other end."""
        paths = tuple(p.take(np.arange(len(p))[::-1]) for p in reversed(self.paths))
        return _Part(self.class_number, paths, self.goes_on[::-1], self.is_free[::-1])

    def followed_by(self, other: _Part) -> _Part:
        """Go on with one that starts at the end of this one."""
        first, *more = other.paths
        onward = (first.take(np.arange(1, len(first))), *more)
        return _Part(
            self.class_number,
            (*self.paths, *onward),
            (self.goes_on[0], other.goes_on[1]),
            (self.is_free[0], other.is_free[1]),
        )

    def as_chain(self, *, is_ring: bool) -> Chain:
        """The pixels in their final order."""
        sections = Sections.joined(list(self.paths))
        px = sections.px
        order = np.arange(len(sections))
        if is_ring:
            order = np.roll(order[:-1], -int(px[:-1].argmin()))
            order = np.append(order, order[0])
        backwards = order[::-1]
        if tuple(px[backwards[[0, 1]]]) < tuple(px[order[[0, 1]]]):
            return Chain(self.class_number, sections.take(backwards), is_ring, self.is_free[::-1])
        return Chain(self.class_number, sections.take(order), is_ring, self.is_free)


class Joiner:
    """Takes the paths of windows from top to bottom and hands back the chains they complete."""

    def __init__(self) -> None:
        # By the pixel at which a part goes on beyond a seam.
        self._open: dict[int, _Part] = {}

    def add(
        self,
        paths: Paths,
        sections: Sections,
        class_number: np.ndarray[tuple[int], np.dtype[np.uint8]],
    ) -> Iterator[Chain]:
        """Add the paths of the next window.

        Args:
            paths: of the window.
            sections: of its pixels.
            class_number: (N,) of its pixels.
        """
        for first, end in pairwise(paths.offsets.tolist()):
            pixels = paths.pixels[first:end]
            start, end_degree = paths.degree[pixels[[0, -1]]].tolist()
            part = _Part(
                int(class_number[pixels[0]]),
                (sections.take(pixels),),
                (start == 2, end_degree == 2),
                (start == 1, end_degree == 1),
            )
            if part.start == part.end or not any(part.goes_on):
                yield part.as_chain(is_ring=all(part.goes_on))
            elif (chain := self._join(part)) is not None:
                yield chain

    def _join(self, part: _Part) -> Chain | None:
        """Put a part to those it goes on with; the chain, if it is complete then."""
        for _ in range(2):
            if part.goes_on[1] and (other := self._open.pop(part.end, None)) is not None:
                part = part.followed_by(other if other.start == part.end else other.reversed())
                if part.start == part.end and all(part.goes_on):
                    self._open.pop(part.start, None)
                    return part.as_chain(is_ring=True)
            part = part.reversed()
        for px, goes_on in zip((part.start, part.end), part.goes_on, strict=True):
            if goes_on:
                self._open[px] = part
        return None if any(part.goes_on) else part.as_chain(is_ring=False)
