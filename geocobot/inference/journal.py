"""Finished tile rows on the disk, so that an interrupted prediction goes on where it was."""

from __future__ import annotations

import json
import math
import os
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from geocobot.errors import OutputError
from geocobot.inference.blended_row import BlendedRow

_PARTS = ("above", "own", "below")
_SAMPLE_BYTES = 2**16
_LEAST_GAIN = 0.75
"""What packs worse than to so much of its bytes is not worth the time."""

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
            n: [list(parts[n].shape), parts[n].dtype.name, len(packed[n]), zlib.crc32(packed[n])]
            for n in _PARTS
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
                    name: _read(file.read(n_bytes), shape, dtype, checksum)
                    for name in _PARTS
                    for shape, dtype, n_bytes, checksum in [head[name]]
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
            expected = file.tell() + sum(head[name][2] for name in _PARTS)
        return bool(path.stat().st_size == expected)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _packed(part: npt.NDArray[Any]) -> bytes | memoryview:
    """Compress a part where that pays; what is as long as before is the part itself.

    Speed counts: what a model says is noise to a compressor, and what repeats itself is land
    without data, or land of which the model is sure. Whether there are runs shows in a few rows
    (benchmarks/packing.py).
    """
    plain = part.reshape(-1).view(np.uint8)
    sampled = plain[plain.size // 2 :][:_SAMPLE_BYTES]
    if len(_runs_packed(sampled)) > _LEAST_GAIN * sampled.size:
        return plain.data
    packed = _runs_packed(plain)
    return packed if len(packed) < plain.size else plain.data


def _runs_packed(plain: npt.NDArray[np.uint8]) -> bytes:
    """Bytes, those that repeat themselves put together."""
    compressor = zlib.compressobj(1, strategy=zlib.Z_RLE)
    return compressor.compress(plain.data) + compressor.flush()


def _read(packed: bytes, shape: list[int], dtype: str, checksum: int) -> npt.NDArray[Any]:
    """One part of a row."""
    if zlib.crc32(packed) != checksum:
        raise ValueError("its checksum is another")
    kind = _DTYPES[dtype]
    is_plain = len(packed) == math.prod(shape) * kind.itemsize
    return np.frombuffer(packed if is_plain else zlib.decompress(packed), kind).reshape(shape)
