"""Put paths together across the seams of windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from geocobot.centerlines.paths import Paths
from geocobot.centerlines.sections import Sections
from geocobot.tracing.lists import elements, offsets_of, owners, places


@dataclass(frozen=True)
class Chains:
    """Pixels from one end of a line to the other, (C,) chains one after the other.

    Attributes:
        class_number: (C,) of the lines.
        sections: of all pixels, both ends of a chain among them. A ring without a node begins and
            ends with its first pixel in reading order; lines begin at the end that comes first.
        offsets: (C + 1,) where the chains begin and end.
        is_ring: (C,) whether a chain is one.
        is_free: (C, 2) whether no other line meets it at its first and at its last pixel.
    """

    class_number: npt.NDArray[np.uint8]
    sections: Sections
    offsets: npt.NDArray[np.int64]
    is_ring: npt.NDArray[np.bool_]
    is_free: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        """Number of chains."""
        return int(self.class_number.size)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """One after the other."""
        return cls(
            np.concatenate([p.class_number for p in parts]),
            Sections.joined([p.sections for p in parts]),
            offsets_of(np.concatenate([np.diff(p.offsets) for p in parts])),
            np.concatenate([p.is_ring for p in parts]),
            np.concatenate([p.is_free for p in parts]),
        )

    def between(self, first: int, end: int) -> Self:
        """Those from one to before another."""
        pixels = np.arange(self.offsets[first], self.offsets[end])
        return type(self)(
            self.class_number[first:end],
            self.sections.take(pixels),
            self.offsets[first : end + 1] - self.offsets[first],
            self.is_ring[first:end],
            self.is_free[first:end],
        )

    def ordered(self) -> Self:
        """The same with their pixels in their final order."""
        px, offsets = self.sections.px, self.offsets
        length = np.diff(offsets)
        shift = np.zeros(len(self), dtype=np.int64)
        for ring in np.flatnonzero(self.is_ring):
            shift[ring] = px[offsets[ring] : offsets[ring + 1] - 1].argmin()
        owner, place = owners(offsets), places(offsets)
        around = np.where(self.is_ring, length - 1, length)
        index = offsets[owner] + (shift[owner] + place) % around[owner]
        begin, end = index[offsets[:-1]], index[offsets[1:] - 1]
        second, last_but_one = index[offsets[:-1] + 1], index[offsets[1:] - 2]
        is_turned = (px[end] < px[begin]) | (
            (px[end] == px[begin]) & (px[last_but_one] < px[second])
        )
        turned = (offsets[:-1] + offsets[1:] - 1)[owner] - np.arange(index.size)
        index = index[np.where(is_turned[owner], turned, np.arange(index.size))]
        return type(self)(
            self.class_number,
            self.sections.take(index),
            offsets,
            self.is_ring,
            np.where(is_turned[:, None], self.is_free[:, ::-1], self.is_free),
        )


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

    def as_chain(self, *, is_ring: bool) -> Chains:
        """It alone."""
        sections = Sections.joined(list(self.paths))
        return Chains(
            np.array([self.class_number], dtype=np.uint8),
            sections,
            np.array([0, len(sections)]),
            np.array([is_ring]),
            np.array([self.is_free]),
        )


class Joiner:
    """Takes the paths of windows from top to bottom and hands back the chains they complete."""

    def __init__(self) -> None:
        # By the pixel at which a part goes on beyond a seam.
        self._open: dict[int, _Part] = {}

    def add(self, paths: Paths, sections: Sections, class_number: npt.NDArray[np.uint8]) -> Chains:
        """Add the paths of the next window.

        Args:
            paths: of the window.
            sections: of its pixels.
            class_number: (N,) of its pixels.
        """
        first, end = paths.offsets[:-1], paths.offsets[1:]
        ends = np.stack([paths.pixels[first], paths.pixels[end - 1]], axis=1)
        goes_on, is_free = paths.degree[ends] == 2, paths.degree[ends] == 1
        is_whole = ~goes_on.any(axis=1) | (ends[:, 0] == ends[:, 1])
        whole = np.flatnonzero(is_whole)
        pixels, offsets = elements(paths.offsets, whole)
        complete = [
            Chains(
                class_number[ends[whole, 0]],
                sections.take(paths.pixels[pixels]),
                offsets,
                goes_on[whole].all(axis=1),
                is_free[whole],
            )
        ]
        for i in np.flatnonzero(~is_whole).tolist():
            part = _Part(
                int(class_number[ends[i, 0]]),
                (sections.take(paths.pixels[first[i] : end[i]]),),
                tuple(goes_on[i].tolist()),
                tuple(is_free[i].tolist()),
            )
            if (chain := self._join(part)) is not None:
                complete.append(chain)
        return Chains.joined(complete).ordered()

    def open_nodes(self) -> npt.NDArray[np.int64]:
        """Flat indices of the nodes at which lines begin that go on below."""
        return np.array(
            [
                px
                for part in self._open.values()
                for px, goes_on in zip((part.start, part.end), part.goes_on, strict=True)
                if not goes_on
            ],
            dtype=np.int64,
        )

    def open_ends(self) -> npt.NDArray[np.int64]:
        """Flat indices of the pixels at which lines that go on below may begin or end."""
        rings = {
            int(min(path.px.min() for path in part.paths))
            for part in self._open.values()
            if all(part.goes_on)
        }
        return np.append(self.open_nodes(), np.array([*rings], dtype=np.int64))

    def _join(self, part: _Part) -> Chains | None:
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
