"""4-connected components of equal class, found by runs instead of pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

PIXELS_AT_ONCE = 2**22
"""What is looked at together, where more would only take memory."""

Labels: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]
"""Numbers of pixels, of which only equal or not has a meaning."""

Number = TypeVar("Number", bound=np.number[Any])
Value = TypeVar("Value", bound=np.generic)


def connected(
    n_nodes: int, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Find the connected components of a graph.

    Every root hooks onto the smallest root it is linked with, then all paths are flattened, until
    no link joins two roots; the number of rounds grows with the logarithm of the longest path.

    Args:
        n_nodes: nodes are 0 to n_nodes - 1.
        a: one end of each link.
        b: the other end of each link.

    Returns:
        (n_nodes,) the smallest node of each node's component.
    """
    root = np.arange(n_nodes)
    while a.size:
        low, high = np.minimum(root[a], root[b]), np.maximum(root[a], root[b])
        apart = low != high
        a, b = a[apart], b[apart]
        np.minimum.at(root, high[apart], low[apart])
        while not np.array_equal(root, flat := root[root]):
            root = flat
    return root


@dataclass(frozen=True)
class Ranks:
    """How many marks lie before each place of a raster, in an eighth of a byte per pixel.

    Attributes:
        words: (M,) uint64 marks of 64 pixels each, the first one in the lowest bit.
        before: (M,) marks before each word.
    """

    words: npt.NDArray[np.uint64]
    before: npt.NDArray[np.int64]

    @classmethod
    def of(cls, marks: npt.NDArray[np.bool_]) -> Ranks:
        """Count the marks of a raster of any shape."""
        packed = np.packbits(marks, axis=None, bitorder="little")
        words = np.zeros(-(-packed.size // 8), dtype="<u8")
        words.view(np.uint8)[: packed.size] = packed
        counts = np.bitwise_count(words)
        return cls(words, np.cumsum(counts, dtype=np.int64) - counts)

    def at(self, flat_px: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Number of the last mark at or before each of these pixels, from 0 on."""
        word, bit = flat_px >> 6, (flat_px & 63).astype(np.uint64)
        up_to = self.words[word] << (np.uint64(63) - bit)
        return np.asarray(self.before[word] + np.bitwise_count(up_to) - 1)


@dataclass(frozen=True)
class Components:
    """The 4-connected components of a class raster, background included.

    Attributes:
        shape: height and width of the raster, in pixels.
        run_start: (R,) flat index of the first pixel of each horizontal run of equal class.
        component_of_run: (R,) component of each run; components are numbered by their first
            pixel in reading order.
        first_px: (N,) flat index of each component's first pixel in reading order.
        class_number: (N,) class of each component.
        runs: which run a pixel belongs to.
    """

    shape: tuple[int, int]
    run_start: npt.NDArray[np.int64]
    component_of_run: npt.NDArray[np.int64]
    first_px: npt.NDArray[np.int64]
    class_number: Labels
    runs: Ranks

    @classmethod
    def of(cls, classes: Labels, cuts: tuple[int, ...] = ()) -> Components:
        """Label a class raster.

        Args:
            classes: (H, W) class numbers, or those of objects.
            cuts: rows that are not connected with the row above them.
        """
        height, width = classes.shape
        starts = np.ones((height, width), dtype=bool)
        np.not_equal(classes[:, 1:], classes[:, :-1], out=starts[:, 1:])
        run_start = np.flatnonzero(starts)
        runs = Ranks.of(starts)
        # Two runs that overlap do so first where the later one of them starts.
        touching = (starts[1:] | starts[:-1]) & (classes[1:] == classes[:-1])
        for row in cuts:
            touching[row - 1] = False
        links = np.flatnonzero(touching)
        root = connected(run_start.size, runs.at(links), runs.at(links + width))
        is_root = root == np.arange(root.size)
        component_of_run = (np.cumsum(is_root) - 1)[root]
        first_px = run_start[is_root]
        class_number = classes.ravel()[first_px]
        return cls((height, width), run_start, component_of_run, first_px, class_number, runs)

    def __len__(self) -> int:
        """Number of components."""
        return int(self.first_px.size)

    def at(self, flat_px: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Components of the pixels with these flat indices."""
        return self.component_of_run[self.runs.at(flat_px)]

    def raster(self, values: npt.NDArray[Value]) -> npt.NDArray[Value]:
        """Give every pixel, (H, W), the value of its component; `values` are (N,)."""
        per_run = values[self.component_of_run]
        return np.repeat(per_run, self.run_lengths()).reshape(self.shape)

    def total(self, values: npt.NDArray[Number]) -> npt.NDArray[Any]:
        """Sum an (H, W) raster over each component, in int64 or float64."""
        height, width = self.shape
        kind = np.int64 if values.dtype.kind in "iu" else np.float64
        per_run = np.empty(self.run_start.size, dtype=kind)
        step = max(1, PIXELS_AT_ONCE // width)
        # Few rows at a time: reduceat makes wider numbers of all values that it is given.
        for row in range(0, height, step):
            first, end = row * width, min(row + step, height) * width
            runs = slice(*np.searchsorted(self.run_start, [first, end]))
            part = values[row : row + step].ravel().astype(kind)
            per_run[runs] = np.add.reduceat(part, self.run_start[runs] - first)
        summed = np.zeros(len(self), dtype=kind)
        np.add.at(summed, self.component_of_run, per_run)
        return summed

    def pixels(self) -> npt.NDArray[np.int64]:
        """Number of pixels of each component."""
        return np.bincount(
            self.component_of_run, weights=self.run_lengths(), minlength=len(self)
        ).astype(np.int64)

    def bounds(self) -> npt.NDArray[np.int64]:
        """First column, first row, last column and last row of each component, (N, 4)."""
        height, width = self.shape
        row, first = np.divmod(self.run_start, width)
        found = np.tile(np.array([width, height, -1, -1], dtype=np.int64), (len(self), 1))
        np.minimum.at(found[:, 0], self.component_of_run, first)
        np.minimum.at(found[:, 1], self.component_of_run, row)
        np.maximum.at(found[:, 2], self.component_of_run, first + self.run_lengths() - 1)
        np.maximum.at(found[:, 3], self.component_of_run, row)
        return found

    def run_lengths(self) -> npt.NDArray[np.int64]:
        """Number of pixels of each run, (R,)."""
        return np.diff(self.run_start, append=self.shape[0] * self.shape[1])
