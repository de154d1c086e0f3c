"""Remote scenes that are mapped from top to bottom: each row is fetched once, whole, and ahead."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from geocobot.io.cut import CutScene
from geocobot.io.handles import Owner
from geocobot.io.opening import look_at
from geocobot.io.remote import is_remote
from geocobot.io.scene import Scene
from geocobot.windows import intersect

Pixels: TypeAlias = tuple[npt.NDArray[np.generic], npt.NDArray[np.bool_]]
"""Image (C, H, W) and validity (H, W)."""

_READ_BYTES = 16 * 2**20
"""Decoded pixels that are fetched at once, in one request or a few: what is lost with it."""

_MOST_BYTES = 512 * 2**20
"""Decoded pixels that are kept at most, those fetched ahead included."""


@dataclass(frozen=True)
class RowScene(Scene):
    """A remote scene in whose rows tiles follow each other.

    Tiles overlap, and each on its own would ask for blocks that its neighbors ask for as well.

    Attributes:
        whole: the scene as it is fetched.
        rows: what was fetched of it; empty in other processes, which read what they are asked for:
            workers share out the tiles of a row, and each would fetch all of it.
    """

    whole: Scene = field(kw_only=True)
    rows: KeptRows = field(kw_only=True, repr=False, compare=False)

    @property
    def parts(self) -> tuple[Scene, ...]:
        """The scene in its file."""
        return self.whole.parts

    def close(self) -> None:
        """Let go of all rows and of this process's handles; the next read opens the file again."""
        self.rows.close()
        self.whole.close()

    def expect(self, window: Window) -> None:
        """Fetch the rows of a window, and as many after them while these are used."""
        self.rows.expect(window)

    def read_inside(self, window: Window) -> Pixels:
        """Image (C, H, W) and validity (H, W) of a window that lies on the grid."""
        self.expect(window)
        kept = self.rows.read(window)
        return self.whole.read_inside(window) if kept is None else kept


class KeptRows:
    """Rows of a part of a scene, in chunks that hold whole blocks.

    A thread of its own fetches them, one chunk after the other. They are for the first thread that
    asks: another one, which is at another place of the scene, would have them fetched in turns.

    Args:
        read: image and validity of a window of the scene.
        part: what may be asked for, in pixels of the scene.
        origin: a row at which a block begins, or would.
        block_hw: height and width of a block.
        pixel_bytes: of an image with its validity.
        is_narrow: whether rows of the part are parts of rows in the file. Of such, two rows of
            blocks are read together at least: where GDAL (3.10) is asked for one range after the
            other, it takes what lies between for wanted, and fetches more and more of it.
    """

    def __init__(
        self,
        read: Callable[[Window], Pixels],
        part: Window,
        *,
        origin: int,
        block_hw: tuple[int, int],
        pixel_bytes: int,
        is_narrow: bool,
    ) -> None:
        self._read, self._part = read, part
        height, width = block_hw
        block_row_bytes = height * part.width * pixel_bytes
        self._step = height * max(1 + is_narrow, _READ_BYTES // block_row_bytes)
        self._shift = -origin % self._step
        self._read_width = width * max(1, _READ_BYTES // (self._step * width * pixel_bytes))
        self._most = _MOST_BYTES // (self._step * part.width * pixel_bytes)
        self._is_home = True
        self._owner: Owner | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._chunks: dict[int, Future[Pixels]] = {}
        self._expected = range(0)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the rows at home when they are sent to another process."""
        return self.__dict__ | {"_is_home": False, "_thread": None, "_chunks": {}}

    def expect(self, window: Window) -> None:
        """Keep the rows of a window, fetch what is missing, and forget what lies before them.

        Args:
            window: in pixels of the scene; where rows that are expected already hold it, nothing
                changes.
        """
        inside = intersect(window, self._part)
        if not self._is_owned() or inside is None:
            return
        rows = range(inside.row_off, inside.row_off + inside.height)
        if self._expected and rows[0] in self._expected and rows[-1] in self._expected:
            return
        chunks = self._chunks_of(rows)
        if len(chunks) > self._most:
            self._forget_but(range(0))
            self._expected = range(0)
            return
        end = self._chunks_of(range(rows[0], self._part.row_off + self._part.height)).stop
        wanted = range(
            chunks.start,
            min(chunks.stop + len(chunks), chunks.start + self._most, end),
        )
        self._forget_but(wanted)
        self._expected = rows
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="rows")
        for number in wanted:
            if number not in self._chunks:
                self._chunks[number] = self._thread.submit(self._fetch, number)

    def read(self, window: Window) -> Pixels | None:
        """Image (C, H, W) and validity (H, W) of a window; None where its rows are not kept.

        Raises:
            UnreadableFileError: they cannot be fetched.
        """
        rows = range(window.row_off, window.row_off + window.height)
        is_kept = self._is_owned() and rows[0] in self._expected and rows[-1] in self._expected
        if not is_kept or intersect(window, self._part) != window:
            return None
        left = window.col_off - self._part.col_off
        parts = []
        for number in self._chunks_of(rows):
            image, valid = self._chunks[number].result()
            first = self._rows_of(number).start
            place = (
                slice(max(0, rows.start - first), rows.stop - first),
                slice(left, left + window.width),
            )
            parts.append((image[:, place[0], place[1]], valid[place]))
        images, valids = zip(*parts, strict=True)
        return np.concatenate(images, axis=1), np.concatenate(valids)

    def close(self) -> None:
        """Forget all rows, and wait for those that are being fetched."""
        self._forget_but(range(0))
        self._expected = range(0)
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None
        self._owner = None

    def _is_owned(self) -> bool:
        """Whether this thread is the one that they are for."""
        here = os.getpid(), threading.get_ident()
        if self._is_home and self._owner is None:
            self._owner = here
        return self._is_home and self._owner == here

    def _chunks_of(self, rows: range) -> range:
        """Numbers of the chunks that hold rows."""
        first, last = ((row + self._shift) // self._step for row in (rows[0], rows[-1]))
        return range(first, last + 1)

    def _rows_of(self, number: int) -> range:
        """Rows of a chunk."""
        top = number * self._step - self._shift
        part_end = self._part.row_off + self._part.height
        return range(max(top, self._part.row_off), min(top + self._step, part_end))

    def _fetch(self, number: int) -> Pixels:
        """Image (C, H, W) and validity (H, W) of a chunk, as wide as the part."""
        rows = self._rows_of(number)
        left, right = self._part.col_off, self._part.col_off + self._part.width
        # Where blocks begin, so that none is fetched for both sides of an edge.
        after = (left // self._read_width + 1) * self._read_width
        edges = [left, *range(after, right, self._read_width), right]
        read = [
            self._read(Window(col, rows.start, until - col, len(rows)))
            for col, until in pairwise(edges)
        ]
        images, valids = zip(*read, strict=True)
        return np.concatenate(images, axis=2), np.concatenate(valids, axis=1)

    def _forget_but(self, numbers: Sequence[int]) -> None:
        """Let go of the other chunks."""
        for number in self._chunks.keys() - set(numbers):
            self._chunks.pop(number).cancel()


def by_rows(scene: Scene) -> Scene:
    """A scene that is to be read tile row by tile row, from top to bottom; local ones as they are.

    So are parts of scenes that polygons or masks bound: what lies outside is not to be read.

    Args:
        scene: in the pixels of its file.
    """
    if not is_remote(scene.path):
        return scene
    if not isinstance(scene, CutScene):
        return _rows_of(scene, scene.grid.window)
    if scene.area is not None:
        return scene
    return replace(scene, whole=_rows_of(scene.whole, scene.window))


def _rows_of(whole: Scene, part: Window) -> RowScene:
    """A remote scene of which a part is read by rows."""
    shapes = look_at(whole.path, lambda source: source.block_shapes)
    block_hw = math.lcm(*(h for h, _ in shapes)), math.lcm(*(w for _, w in shapes))
    rows = KeptRows(
        whole.read_inside,
        part,
        origin=whole.grid.height if whole.flipped else 0,
        block_hw=block_hw,
        pixel_bytes=len(whole.bands) * np.dtype(whole.dtype).itemsize + 1,
        is_narrow=part.width < whole.grid.width,
    )
    return RowScene(**whole.seen_on(whole.grid), whole=whole, rows=rows)
