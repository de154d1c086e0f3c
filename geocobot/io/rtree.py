"""The spatial index of a GeoPackage, built at once when all features are written.

An index that grows with every batch takes as long as the features themselves. SQLite keeps an
R*Tree in three tables: nodes, and the parents of nodes and rows. Here they are filled with a tree
that is packed from sorted bounds (sort-tile-recursive: Leutenegger et al. 1997), a fifth of the
work (docs/formats.md). Triggers and registration are those that GDAL makes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

_CELL = np.dtype(
    [("id", ">i8"), ("minx", ">f4"), ("maxx", ">f4"), ("miny", ">f4"), ("maxy", ">f4")]
)
_HEAD_BYTES = 4  # depth and number of cells, two bytes each
_ROOT = 1
_CHUNK = 10_000

Cells = npt.NDArray[np.void]


@cache
def can_build() -> bool:
    """Whether this Python's SQLite has R*Trees and lets their tables be filled."""
    try:
        with closing(sqlite3.connect(":memory:")) as db:
            db.execute("CREATE VIRTUAL TABLE t USING rtree(id, minx, maxx, miny, maxy)")
            db.execute("DELETE FROM t_node")
    except sqlite3.Error:
        return False
    return True


class LateIndex:
    """Takes the index off an empty layer and gives it back, filled, at the end.

    Args:
        file: a GeoPackage that GDAL has just made.
        layer: its layer, with an index and without features.

    Raises:
        OSError: the file cannot be written; so does `build`.
    """

    def __init__(self, file: Path, layer: str) -> None:
        self._file = file
        self._layer = layer
        self._name = f"rtree_{layer}_geom"
        self._bounds: list[npt.NDArray[np.float32]] = []
        try:
            with closing(sqlite3.connect(file)) as db, db:
                self._take_off(db)
        except sqlite3.Error as error:
            raise OSError(str(error)) from error

    def add(self, bounds: npt.NDArray[np.float64]) -> None:
        """Take the bounds (N, 4) of features, west, south, east, north, in the layer's order."""
        self._bounds.append(_outwards(bounds))

    def build(self, count: int) -> None:
        """Fill the index; so many features were written."""
        bounds = np.concatenate([np.empty((0, 4), np.float32), *self._bounds])
        self._bounds = []
        try:
            with closing(sqlite3.connect(self._file)) as db, db:
                # Whatever fails, the file is thrown away.
                db.execute("PRAGMA synchronous = OFF")
                ids = f"SELECT min(fid), max(fid), count(*) FROM {_quoted(self._layer)}"  # noqa: S608
                found = db.execute(ids).fetchone()
                if len(bounds) != count or (count and found != (1, count, count)):
                    raise OSError("features are missing")
                db.execute(self._table)
                if count:
                    self._fill(db, bounds)
                for trigger in self._triggers:
                    db.execute(trigger)
                db.executemany("INSERT INTO gpkg_extensions VALUES (?, ?, ?, ?, ?)", self._entry)
        except sqlite3.Error as error:
            raise OSError(str(error)) from error

    def _take_off(self, db: sqlite3.Connection) -> None:
        """Remember what the index consists of, and drop it."""
        find = "SELECT {} FROM sqlite_master WHERE type = ? AND {} = ? AND name LIKE 'rtree_%'"
        table = db.execute(find.format("sql", "name"), ("table", self._name)).fetchone()
        triggers = db.execute(
            find.format("name, sql", "tbl_name"), ("trigger", self._layer)
        ).fetchall()
        if table is None or not triggers:
            raise OSError("parts of it did not reach the disk")
        (self._table,) = table
        names, self._triggers = zip(*triggers, strict=True)
        where = "FROM gpkg_extensions WHERE extension_name = 'gpkg_rtree_index' AND table_name = ?"
        self._entry = db.execute(f"SELECT * {where}", (self._layer,)).fetchall()
        db.execute(f"DELETE {where}", (self._layer,))
        for name in names:
            db.execute(f"DROP TRIGGER {_quoted(name)}")
        db.execute(f"DROP TABLE {_quoted(self._name)}")

    def _fill(self, db: sqlite3.Connection, bounds: npt.NDArray[np.float32]) -> None:
        """Fill the tables of the empty index."""
        nodes, parents, rows = (_quoted(self._name + s) for s in ("_node", "_parent", "_rowid"))
        (node_bytes,) = db.execute(f"SELECT length(data) FROM {nodes}").fetchone()  # noqa: S608
        capacity = (node_bytes - _HEAD_BYTES) // _CELL.itemsize
        levels = _levels(bounds, capacity)
        numbers = _number(levels)
        db.execute(f"DELETE FROM {nodes}")  # noqa: S608
        for height, (cells, own) in enumerate(zip(levels, numbers, strict=True)):
            depth = height if height == len(levels) - 1 else 0  # only the root says it
            blobs = _blobs(cells, depth, node_bytes, capacity)
            _insert(db, nodes, zip(own, blobs, strict=True))
            places = np.array(own)[np.arange(len(cells)) // capacity]
            by_id = np.argsort(cells["id"])
            pairs = _pairs(cells["id"][by_id], places[by_id])
            _insert(db, parents if height else rows, pairs)


def _pairs(
    ids: npt.NDArray[np.int64], places: npt.NDArray[np.int64]
) -> Iterator[tuple[int, object]]:
    """Numbers of two arrays, a few of them as Python's at a time."""
    for start in range(0, len(ids), _CHUNK):
        part = slice(start, start + _CHUNK)
        yield from zip(ids[part].tolist(), places[part].tolist(), strict=True)


def _insert(db: sqlite3.Connection, table: str, pairs: Iterable[tuple[int, object]]) -> None:
    """Add rows of two columns."""
    db.executemany(f"INSERT INTO {table} VALUES (?, ?)", pairs)  # noqa: S608 - quoted


def _outwards(bounds: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Bounds in single precision that enclose the exact ones."""
    rounded = bounds.astype(np.float32)
    low, high = rounded[:, :2], rounded[:, 2:]
    np.nextafter(low, np.float32(-np.inf), out=low, where=low > bounds[:, :2])
    np.nextafter(high, np.float32(np.inf), out=high, where=high < bounds[:, 2:])
    return rounded


def _levels(bounds: npt.NDArray[np.float32], capacity: int) -> list[Cells]:
    """The cells of the tree from its leaves to its root, which is the last.

    Args:
        bounds: (N, 4) west, south, east, north of the rows 1 to N.
        capacity: cells of a node.
    """
    order = _tiled(bounds, capacity)
    leaves = np.empty(len(bounds), _CELL)
    leaves["id"] = order + 1
    for column, name in enumerate(("minx", "miny", "maxx", "maxy")):
        leaves[name] = bounds[order, column]
    levels = [leaves]
    while len(levels[-1]) > capacity:
        below = levels[-1]
        starts = np.arange(0, len(below), capacity)
        cells = np.empty(len(starts), _CELL)
        for name in ("minx", "miny"):
            cells[name] = np.minimum.reduceat(below[name].astype(np.float32), starts)
        for name in ("maxx", "maxy"):
            cells[name] = np.maximum.reduceat(below[name].astype(np.float32), starts)
        levels.append(cells)
    return levels


def _tiled(bounds: npt.NDArray[np.float32], capacity: int) -> npt.NDArray[np.int64]:
    """An order in which rows that follow each other lie together: columns, each south to north."""
    nodes = -(-len(bounds) // capacity)
    per_column = int(np.ceil(np.sqrt(nodes))) * capacity
    column = np.empty(len(bounds), np.int32)
    by_x = np.argsort(bounds[:, 0] + bounds[:, 2], kind="stable")
    column[by_x] = np.arange(len(bounds)) // per_column
    return np.lexsort((bounds[:, 1] + bounds[:, 3], column))


def _number(levels: list[Cells]) -> list[range]:
    """Number the nodes of each level, and tell the cells above; the root is 1."""
    numbers = [range(_ROOT, _ROOT + 1)]
    for above in reversed(levels[1:]):
        first = numbers[-1].stop
        numbers.append(range(first, first + len(above)))
        above["id"] = np.arange(first, first + len(above))
    return numbers[::-1]


def _blobs(cells: Cells, depth: int, node_bytes: int, capacity: int) -> Iterator[bytes]:
    """The nodes of a level as SQLite holds them."""
    for start in range(0, len(cells), capacity):
        held = cells[start : start + capacity]
        head = depth.to_bytes(2, "big") + len(held).to_bytes(2, "big")
        yield (head + held.tobytes()).ljust(node_bytes, b"\0")


def _quoted(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'
