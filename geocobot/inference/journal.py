"""Finished tile rows on the disk, so that an interrupted prediction goes on where it was."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from geocobot.errors import OutputError
from geocobot.inference.blend import BlendedRow

_PARTS = ("above", "own", "below")
_DTYPES = {np.dtype(kind).name: np.dtype(kind) for kind in (np.uint8, np.int16)}


class RowJournal:
    """Keeps finished tile rows in a folder, each in a file that is there whole or not at all.

    Args:
        folder: exists.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def finished(self) -> set[int]:
        """Numbers of the tile rows that are kept, whole."""
        names = {path.stem.removeprefix("row-"): path for path in self.folder.glob("row-*.z")}
        return {int(name) for name, path in names.items() if name.isdigit() and _is_whole(path)}

    def keep(self, number: int, row: BlendedRow) -> None:
        """Write a finished row; when this returns it is on the disk.

        Args:
            number: of the tile row.
            row: as it was blended.

        Raises:
            OutputError: there is no room, or no permission.
        """
        parts = {name: np.ascontiguousarray(getattr(row, name)) for name in _PARTS}
        packed = {name: _packed(part) for name, part in parts.items()}
        head: dict[str, Any] = {
            n: [list(parts[n].shape), len(packed[n]), parts[n].dtype.name] for n in _PARTS
        }
        head["row_off"] = row.row_off
        path = self._path(number)
        temporary = path.with_suffix(".part")
        try:
            with temporary.open("wb") as file:
                file.write(json.dumps(head).encode() + b"\n")
                for name in _PARTS:
                    file.write(packed[name])
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            raise OutputError(
                path,
                f"cannot be written ({error.strerror})",
                "Finished tile rows are kept there until the map is whole",
                "Free some space and repeat the command with --resume, or choose another --out",
            ) from error

    def recall(self, number: int) -> BlendedRow:
        """A row that was kept.

        Args:
            number: of the tile row; one of `finished`.

        Raises:
            OutputError: its file was damaged since.
        """
        path = self._path(number)
        try:
            with path.open("rb") as file:
                head = _head(file)
                parts = {
                    name: _read(file.read(n_bytes), shape, dtype)
                    for name in _PARTS
                    for shape, n_bytes, dtype in [head[name]]
                }
        except (OSError, ValueError, KeyError, TypeError, zlib.error) as error:
            raise OutputError(
                path,
                f"is damaged ({error})",
                "It holds finished rows of an interrupted map",
                "Delete it, and repeat the command with --resume",
            ) from error
        return BlendedRow(head["row_off"], parts["above"], parts["own"], parts["below"])

    def _path(self, number: int) -> Path:
        """The file of a row."""
        return self.folder / f"row-{number:06d}.z"


def _head(file: BinaryIO) -> dict[str, Any]:
    """What a file says of its parts: shape and bytes of each, and the row's place."""
    head: dict[str, Any] = json.loads(file.readline())
    return head


def _is_whole(path: Path) -> bool:
    """Whether a file is as long as it says."""
    try:
        with path.open("rb") as file:
            head = _head(file)
            expected = file.tell() + sum(head[name][1] for name in _PARTS)
        return bool(path.stat().st_size == expected)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _packed(part: npt.NDArray[Any]) -> bytes:
    """Compress a part.

    Speed counts: what a model says is noise to a compressor, and what repeats itself is land
    without data. Looking for runs only takes half the time, for a tenth more
    (benchmarks/packing.py).
    """
    compressor = zlib.compressobj(1, strategy=zlib.Z_RLE)
    return compressor.compress(part.data) + compressor.flush()


def _read(packed: bytes, shape: list[int], dtype: str) -> npt.NDArray[Any]:
    """One part of a row."""
    return np.frombuffer(zlib.decompress(packed), dtype=_DTYPES[dtype]).reshape(shape)
